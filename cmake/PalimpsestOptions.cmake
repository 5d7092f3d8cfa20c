# Language level, warnings, sanitizers and where build products go: what holds for every target.
option(PALIMPSEST_BUILD_TESTS "Build the tests" ON)
option(PALIMPSEST_BUILD_BENCHMARKS "Build the benchmarks" ON)
option(PALIMPSEST_WERROR "Treat warnings as errors" ON)
# The front door gives both; a configure by hand finds what the front door made.
set(PALIMPSEST_HOME "${PROJECT_SOURCE_DIR}/.palimpsest" CACHE PATH "Folder of models, data and caches, for the tests")
set(PALIMPSEST_PYTHON "" CACHE FILEPATH "Python with the packages of cmake/setup/requirements-test.txt")
if(NOT PALIMPSEST_PYTHON)
  find_program(_palimpsest_python python3 HINTS "${PALIMPSEST_HOME}/venv/bin")
  set(PALIMPSEST_PYTHON "${_palimpsest_python}" CACHE FILEPATH "" FORCE)
endif()
set(PALIMPSEST_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)

# One set of code-generation flags for all targets, so that the precompiled torch headers serve them all.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_LINK_DEPENDS_NO_SHARED ON)
# An installed program still finds the libtorch that it was built with.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(PALIMPSEST_PLUGIN_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/plugins")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

add_library(palimpsest_options INTERFACE)
target_compile_options(palimpsest_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
if(PALIMPSEST_WERROR)
  target_compile_options(palimpsest_options INTERFACE -Werror)
endif()
if(PALIMPSEST_SANITIZE)
  # GCC takes what a sanitizer adds to a variant or a std::function for a use of parts that were never set.
  target_compile_options(palimpsest_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_compile_options(-fsanitize=${PALIMPSEST_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PALIMPSEST_SANITIZE})
endif()

find_program(PALIMPSEST_CCACHE ccache)
if(PALIMPSEST_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${PALIMPSEST_CCACHE})
  # ccache sees through a precompiled header only with these settings.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${PALIMPSEST_CCACHE})
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()
