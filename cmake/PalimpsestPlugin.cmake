# palimpsest_add_plugin(TARGET KIND kind ID id SOURCES ... [TIER none|stable|locked] [LINK ...])
#
# Makes a plugin library: a module with hidden visibility, exactly one dynamic symbol (palimpsest_library, by a version
# script) and the ELF note that the host reads before it loads anything. KIND and ID may be lists of equal length for a
# library of several plugins. TIER: `none` links no libtorch; `stable` sees torch's stable C shim only; `locked` (the default)
# links libtorch and loads only into a host with the very same one. LINK: more libraries, e.g. palimpsest::editing.
# The same file serves the program's own tree and find_package(Palimpsest); it lies in ${CMAKE_BINARY_DIR}/plugins, or in
# OUTPUT_DIRECTORY, which also keeps it from being installed.
set(PALIMPSEST_PLUGIN_TEMPLATES "${CMAKE_CURRENT_LIST_DIR}")
set(PALIMPSEST_ABI_VERSION 0.3)
set(PALIMPSEST_STABLE_TORCH 2.10.0)
set(PALIMPSEST_STABLE_TORCH_NUMBER 0x020a000000000000)

# The tag by which host and locked plugins recognise each other's libtorch, and the compiler's ABI.
if(CMAKE_CXX_COMPILER)
  set(_compiler "${CMAKE_CXX_COMPILER}")
else()
  set(_compiler "${CMAKE_C_COMPILER}")
endif()
execute_process(COMMAND ${_compiler} -dM -E -x c++ /dev/null OUTPUT_VARIABLE _macros)
string(REGEX MATCH "__GXX_ABI_VERSION ([0-9]+)" _ "${_macros}")
set(PALIMPSEST_COMPILER_ABI "gxxabi-${CMAKE_MATCH_1}")
set(PALIMPSEST_TORCH_TAG "torch-${PALIMPSEST_TORCH_VERSION}-cxx11abi-${PALIMPSEST_COMPILER_ABI}")
if(NOT PALIMPSEST_PLUGIN_OUTPUT_DIRECTORY)
  set(PALIMPSEST_PLUGIN_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/plugins")
endif()

if(NOT TARGET plugins)
  add_custom_target(plugins)
endif()

function(palimpsest_add_plugin target)
  cmake_parse_arguments(arg "" "TIER;OUTPUT_DIRECTORY" "KIND;ID;SOURCES;LINK" ${ARGN})
  if(NOT arg_TIER)
    set(arg_TIER locked)
  endif()
  if(arg_TIER STREQUAL "locked" AND (NOT TARGET palimpsest::torch OR PALIMPSEST_TORCH_MISSING))
    message(FATAL_ERROR "palimpsest_add_plugin(${target}): a plugin of tier locked needs libtorch. ${PALIMPSEST_TORCH_MISSING}")
  endif()
  if(arg_TIER STREQUAL "none")
    set(torch "")
  elseif(arg_TIER STREQUAL "stable")
    set(torch "${PALIMPSEST_STABLE_TORCH}")
  elseif(arg_TIER STREQUAL "locked")
    set(torch "${PALIMPSEST_TORCH_TAG}")
  else()
    message(FATAL_ERROR "palimpsest_add_plugin(${target}): TIER is ${arg_TIER}; expected none, stable or locked")
  endif()
  if(NOT arg_KIND OR NOT arg_ID OR NOT arg_SOURCES)
    message(FATAL_ERROR "palimpsest_add_plugin(${target}): KIND, ID and SOURCES are needed")
  endif()

  set(ids "")
  foreach(kind id IN ZIP_LISTS arg_KIND arg_ID)
    list(APPEND ids "${kind}:${id}")
  endforeach()
  list(JOIN ids "," PALIMPSEST_NOTE_IDS)
  set(PALIMPSEST_NOTE_TIER "${arg_TIER}")
  set(PALIMPSEST_NOTE_TORCH "${torch}")
  configure_file("${PALIMPSEST_PLUGIN_TEMPLATES}/plugin_note.c.in" "${CMAKE_CURRENT_BINARY_DIR}/${target}_note.c" @ONLY)

  add_library(${target} MODULE ${arg_SOURCES} "${CMAKE_CURRENT_BINARY_DIR}/${target}_note.c")
  if(NOT arg_OUTPUT_DIRECTORY)
    set(arg_OUTPUT_DIRECTORY "${PALIMPSEST_PLUGIN_OUTPUT_DIRECTORY}")
    add_dependencies(plugins ${target})
    install(TARGETS ${target} LIBRARY DESTINATION lib/palimpsest/plugins)
  endif()
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".so" LIBRARY_OUTPUT_DIRECTORY "${arg_OUTPUT_DIRECTORY}"
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS "${PALIMPSEST_PLUGIN_TEMPLATES}/plugin.map")
  target_compile_definitions(${target} PRIVATE
    PALIMPSEST_TIER="${arg_TIER}" PALIMPSEST_TORCH_TAG="${torch}" PALIMPSEST_COMPILER="${PALIMPSEST_COMPILER_ABI}")
  target_link_options(${target} PRIVATE
    "-Wl,--version-script=${PALIMPSEST_PLUGIN_TEMPLATES}/plugin.map" -Wl,--exclude-libs,ALL -Wl,--no-undefined)
  target_link_libraries(${target} PRIVATE ${arg_LINK} palimpsest::sdk $<TARGET_NAME_IF_EXISTS:palimpsest_options>)
  get_property(_languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(arg_TIER STREQUAL "locked" OR NOT "C" IN_LIST _languages)
    # One language per target: a precompiled C++ header cannot serve a C unit.
    set_source_files_properties("${CMAKE_CURRENT_BINARY_DIR}/${target}_note.c" PROPERTIES LANGUAGE CXX)
  endif()
  if(arg_TIER STREQUAL "locked")
    palimpsest_use_torch(${target})
  elseif(arg_TIER STREQUAL "stable")
    # The headers then offer what every libtorch from the target on has.
    target_compile_definitions(${target} PRIVATE TORCH_TARGET_VERSION=${PALIMPSEST_STABLE_TORCH_NUMBER})
    target_include_directories(${target} SYSTEM PRIVATE "${PALIMPSEST_TORCH_INCLUDE}")
    target_link_libraries(${target} PRIVATE "${PALIMPSEST_TORCH_CPU}")
    target_link_options(${target} PRIVATE "-Wl,-rpath,${PALIMPSEST_TORCH_LIB_DIR}")
  endif()
endfunction()

# palimpsest_test_plugin(TARGET SOURCES ... [LINK ...])
#
# The tests of a plugin in a project of its own: `maths`, a GoogleTest program TARGET_test of SOURCES over palimpsest::testing and
# LINK; and `promises`, what every plugin must do, on the tiny model. Nothing where BUILD_TESTING is off. Needs the component
# testing, and enable_testing() in the project's top folder.
function(palimpsest_test_plugin target)
  if(DEFINED BUILD_TESTING AND NOT BUILD_TESTING)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  if(NOT TARGET ${target} OR NOT arg_SOURCES)
    message(FATAL_ERROR "palimpsest_test_plugin(${target}): SOURCES are needed, and ${target} from palimpsest_add_plugin()")
  endif()
  find_package(GTest REQUIRED)
  add_executable(${target}_test ${arg_SOURCES})
  target_link_libraries(${target}_test PRIVATE ${arg_LINK} palimpsest::testing GTest::gtest_main)
  add_test(NAME maths COMMAND ${target}_test)
  add_test(NAME promises COMMAND palimpsest::program check-plugin $<TARGET_FILE:${target}>)
endfunction()
