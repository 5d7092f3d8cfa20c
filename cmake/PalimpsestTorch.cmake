# libtorch as imported targets of our own, made from an include and a lib folder: works with a pip wheel (CPU or CUDA),
# the zip and a distribution's package. find_package(Torch) is not used: with a CUDA wheel it wants the CUDA toolkit.
#
# Looked for in TORCH_DIR (the folder that holds include/ and lib/, or share/cmake/Torch below it), then CMAKE_PREFIX_PATH.
set(TORCH_DIR "" CACHE PATH "Folder of libtorch: holds include/ and lib/")

# palimpsest_find_torch([HINT folder]): makes the target palimpsest_torch (alias palimpsest::torch) and sets
# PALIMPSEST_TORCH_VERSION; or sets PALIMPSEST_TORCH_MISSING to a sentence that says why not. HINT is looked into last.
macro(palimpsest_find_torch)
  cmake_parse_arguments(_torch "" "HINT" "" ${ARGN})
  set(PALIMPSEST_TORCH_MISSING "")
  set(_torch_roots "")
  foreach(_root IN LISTS TORCH_DIR CMAKE_PREFIX_PATH _torch_HINT)
    list(APPEND _torch_roots "${_root}" "${_root}/../../.." "${_root}/torch")
  endforeach()
  find_path(PALIMPSEST_TORCH_INCLUDE ATen/ATen.h PATHS ${_torch_roots} PATH_SUFFIXES include NO_CMAKE_FIND_ROOT_PATH)
  find_library(PALIMPSEST_TORCH_CPU torch_cpu PATHS ${_torch_roots} PATH_SUFFIXES lib lib64)
  find_library(PALIMPSEST_C10 c10 PATHS ${_torch_roots} PATH_SUFFIXES lib lib64)
  if(NOT PALIMPSEST_TORCH_INCLUDE OR NOT PALIMPSEST_TORCH_CPU OR NOT PALIMPSEST_C10)
    string(CONCAT PALIMPSEST_TORCH_MISSING
      "libtorch was not found (wanted: ATen/ATen.h, libtorch_cpu, libc10). Give its folder with -DTORCH_DIR=..., for a pip "
      "wheel the folder printed by: python3 -c 'import torch, os; print(os.path.dirname(torch.__file__))'")
  else()
    file(READ "${PALIMPSEST_TORCH_INCLUDE}/torch/headeronly/version.h" _torch_version_h)
    set(PALIMPSEST_TORCH_VERSION "")
    foreach(_part MAJOR MINOR PATCH)
      string(REGEX MATCH "TORCH_VERSION_${_part} ([0-9]+)" _ "${_torch_version_h}")
      list(APPEND PALIMPSEST_TORCH_VERSION "${CMAKE_MATCH_1}")
    endforeach()
    list(JOIN PALIMPSEST_TORCH_VERSION "." PALIMPSEST_TORCH_VERSION)
    if(PALIMPSEST_TORCH_VERSION VERSION_LESS 2.10)
      set(PALIMPSEST_TORCH_MISSING
        "libtorch ${PALIMPSEST_TORCH_VERSION} was found in ${PALIMPSEST_TORCH_INCLUDE}; at least 2.10 is needed")
    else()
      palimpsest_torch_target()
    endif()
  endif()
endmacro()

# The imported target of what was found.
macro(palimpsest_torch_target)
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
endmacro()

# Use: palimpsest_use_torch(target). In the program's own tree with torch's precompiled headers (PalimpsestPch).
function(palimpsest_use_torch target)
  target_link_libraries(${target} PUBLIC palimpsest_torch)
  if(TARGET palimpsest_torch_pch)
    target_precompile_headers(${target} REUSE_FROM palimpsest_torch_pch)
    # A program is compiled with -fPIE, and g++ then refuses headers that were precompiled with -fPIC.
    get_target_property(_type ${target} TYPE)
    if(_type STREQUAL "EXECUTABLE")
      target_compile_options(${target} PRIVATE -fPIC)
    endif()
  endif()
endfunction()
