# Writes OUTPUT, a header with one digest of what the host's stored numbers follow from: sources and build files of the modules below
# SOURCE/framework that compute them, and BUILD, the compiler with its flags; only when that changes.
#
# Left out is what decides no stored number: the program's commands, the analysis, and what gathers results, speaks of them, or starts
# and watches workers. Maths that plugins are built with is a part of their libraries, which have digests of their own.
cmake_policy(VERSION 3.25)
set(left_out "/(config/reference|experiment/(experiment_file|progress_view|runner|supervisor|trials)[a-z_]*)[.]"
  "/base/process[.]" "/plugin/(conformance|testing)/")
set(digests "${BUILD}")
foreach(module abi base config data experiment model plugin results training)
  set(folder "${SOURCE}/framework/${module}")
  file(GLOB_RECURSE files "${folder}/*.cpp" "${folder}/*.hpp" "${folder}/*.h" "${folder}/CMakeLists.txt")
  foreach(pattern ${left_out})
    list(FILTER files EXCLUDE REGEX "${pattern}")
  endforeach()
  list(SORT files)
  foreach(file ${files})
    file(SHA256 "${file}" digest)
    file(RELATIVE_PATH name "${SOURCE}" "${file}")
    string(APPEND digests "\n${name} ${digest}")
  endforeach()
endforeach()
string(SHA256 digest "${digests}")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define PALIMPSEST_SOURCES_SHA256 \"@digest@\"\n" @ONLY)
