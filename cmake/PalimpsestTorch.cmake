# libtorch as imported targets of our own, made from an include and a lib folder: works with a pip wheel (CPU or CUDA),
# the zip and a distribution's package. find_package(Torch) is not used: with a CUDA wheel it wants the CUDA toolkit.
#
# Looked for in TORCH_DIR (the folder that holds include/ and lib/, or share/cmake/Torch below it), then CMAKE_PREFIX_PATH.
set(TORCH_DIR "" CACHE PATH "Folder of libtorch: holds include/ and lib/")

set(_torch_roots "")
foreach(_root IN LISTS TORCH_DIR CMAKE_PREFIX_PATH)
  list(APPEND _torch_roots "${_root}" "${_root}/../../.." "${_root}/torch")
endforeach()
find_path(PALIMPSEST_TORCH_INCLUDE ATen/ATen.h PATHS ${_torch_roots} PATH_SUFFIXES include NO_CMAKE_FIND_ROOT_PATH)
find_library(PALIMPSEST_TORCH_CPU torch_cpu PATHS ${_torch_roots} PATH_SUFFIXES lib lib64)
find_library(PALIMPSEST_C10 c10 PATHS ${_torch_roots} PATH_SUFFIXES lib lib64)
if(NOT PALIMPSEST_TORCH_INCLUDE OR NOT PALIMPSEST_TORCH_CPU OR NOT PALIMPSEST_C10)
  message(FATAL_ERROR
    "libtorch was not found (wanted: ATen/ATen.h, libtorch_cpu, libc10). Give its folder with -DTORCH_DIR=..., for a pip "
    "wheel the folder printed by: python3 -c 'import torch, os; print(os.path.dirname(torch.__file__))'")
endif()
file(READ "${PALIMPSEST_TORCH_INCLUDE}/torch/headeronly/version.h" _torch_version_h)
string(REGEX MATCH "TORCH_VERSION_MAJOR ([0-9]+)" _ "${_torch_version_h}")
set(PALIMPSEST_TORCH_MAJOR "${CMAKE_MATCH_1}")
string(REGEX MATCH "TORCH_VERSION_MINOR ([0-9]+)" _ "${_torch_version_h}")
set(PALIMPSEST_TORCH_MINOR "${CMAKE_MATCH_1}")
string(REGEX MATCH "TORCH_VERSION_PATCH ([0-9]+)" _ "${_torch_version_h}")
set(PALIMPSEST_TORCH_PATCH "${CMAKE_MATCH_1}")
set(PALIMPSEST_TORCH_VERSION "${PALIMPSEST_TORCH_MAJOR}.${PALIMPSEST_TORCH_MINOR}.${PALIMPSEST_TORCH_PATCH}")
if(PALIMPSEST_TORCH_VERSION VERSION_LESS 2.10)
  message(FATAL_ERROR "libtorch ${PALIMPSEST_TORCH_VERSION} was found in ${PALIMPSEST_TORCH_INCLUDE}; at least 2.10 is needed")
endif()
message(STATUS "libtorch ${PALIMPSEST_TORCH_VERSION}: ${PALIMPSEST_TORCH_CPU}")

get_filename_component(PALIMPSEST_TORCH_LIB_DIR "${PALIMPSEST_TORCH_CPU}" DIRECTORY)
add_library(palimpsest_torch INTERFACE)
add_library(palimpsest::torch ALIAS palimpsest_torch)
target_include_directories(palimpsest_torch SYSTEM INTERFACE
  "${PALIMPSEST_TORCH_INCLUDE}" "${PALIMPSEST_TORCH_INCLUDE}/torch/csrc/api/include")
target_link_libraries(palimpsest_torch INTERFACE "${PALIMPSEST_TORCH_CPU}" "${PALIMPSEST_C10}")
# A CUDA build registers its kernels from libtorch_cuda, which nothing references by symbol.
find_library(PALIMPSEST_TORCH_CUDA torch_cuda PATHS "${PALIMPSEST_TORCH_LIB_DIR}" NO_DEFAULT_PATH)
if(PALIMPSEST_TORCH_CUDA)
  target_link_libraries(palimpsest_torch INTERFACE -Wl,--no-as-needed "${PALIMPSEST_TORCH_CUDA}" -Wl,--as-needed)
endif()
target_link_options(palimpsest_torch INTERFACE "-Wl,-rpath,${PALIMPSEST_TORCH_LIB_DIR}")

# The precompiled torch headers, made once. Use: palimpsest_use_torch(target).
file(WRITE "${CMAKE_BINARY_DIR}/torch_pch.cpp.in" "\n")
configure_file("${CMAKE_BINARY_DIR}/torch_pch.cpp.in" "${CMAKE_BINARY_DIR}/torch_pch.cpp" COPYONLY)
option(PALIMPSEST_PCH "Precompile torch's headers (off for clang-tidy, which cannot read g++'s)" ON)
if(PALIMPSEST_PCH)
  add_library(palimpsest_torch_pch OBJECT "${CMAKE_BINARY_DIR}/torch_pch.cpp")
  target_link_libraries(palimpsest_torch_pch PRIVATE palimpsest_options palimpsest_torch)
  target_precompile_headers(palimpsest_torch_pch PRIVATE <ATen/ATen.h> <string> <vector> <memory> <unordered_map>)
endif()

function(palimpsest_use_torch target)
  target_link_libraries(${target} PUBLIC palimpsest_torch)
  if(PALIMPSEST_PCH)
    target_precompile_headers(${target} REUSE_FROM palimpsest_torch_pch)
    # A program is compiled with -fPIE, and g++ then refuses headers that were precompiled with -fPIC.
    get_target_property(_type ${target} TYPE)
    if(_type STREQUAL "EXECUTABLE")
      target_compile_options(${target} PRIVATE -fPIC)
    endif()
  endif()
endfunction()
