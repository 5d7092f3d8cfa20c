# How a module and its tests become targets.

# palimpsest_add_module(NAME [TORCH] SOURCES ... [LINK ...] [PRIVATE_LINK ...]): the static library palimpsest_NAME, alias
# palimpsest::NAME, of framework/NAME. Includes read "NAME/file.hpp". TORCH: the module uses libtorch (through its precompiled headers).
function(palimpsest_add_module name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(palimpsest_${name} STATIC ${arg_SOURCES})
  add_library(palimpsest::${name} ALIAS palimpsest_${name})
  target_include_directories(palimpsest_${name} PUBLIC
    "${PROJECT_SOURCE_DIR}/framework" "${PROJECT_SOURCE_DIR}/framework/abi" "${PROJECT_SOURCE_DIR}/framework/sdk")
  target_link_libraries(palimpsest_${name} PUBLIC ${arg_LINK} PRIVATE palimpsest_options ${arg_PRIVATE_LINK})
  if(arg_TORCH)
    palimpsest_use_torch(palimpsest_${name})
  endif()
endfunction()

# palimpsest_add_test(NAME [TORCH] SOURCES ... [LINK ...] [LABELS ...]): the GoogleTest program NAME_test; every case of it
# is one ctest test, named NAME.Suite.Case. PALIMPSEST_TEST_DATA is tests/ of the source tree. LABELS: one of unit (the default),
# golden, end_to_end; ctest sums up the time of each.
function(palimpsest_add_test name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name}_test ${arg_SOURCES})
  target_include_directories(${name}_test PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name}_test PRIVATE ${arg_LINK} palimpsest_options GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE
    PALIMPSEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}" PALIMPSEST_BINARY_DIR="${PROJECT_BINARY_DIR}"
    PALIMPSEST_TEST_DATA="${PROJECT_SOURCE_DIR}/tests")
  if(arg_TORCH)
    palimpsest_use_torch(${name}_test)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  # As workers have it: with it on, MKL may choose the threads of a product, and so its last bits, call by call.
  gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT 300 LABELS "${arg_LABELS}" ENVIRONMENT MKL_DYNAMIC=FALSE)
endfunction()
