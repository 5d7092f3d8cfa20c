# Writes OUTPUT, a header with one digest of what the host's numbers follow from: its sources below SOURCE/framework and BUILD, a text
# that says how they are compiled; only when that changes. The program's own commands decide no number; maths that plugins are built
# with is a part of their libraries, which have digests of their own.
cmake_policy(VERSION 3.25)
set(digests "${BUILD}")
foreach(room abi base config data experiment model plugin results training)
  file(GLOB_RECURSE files "${SOURCE}/framework/${room}/*.cpp" "${SOURCE}/framework/${room}/*.hpp" "${SOURCE}/framework/${room}/*.h")
  list(SORT files)
  foreach(file ${files})
    file(SHA256 "${file}" digest)
    file(RELATIVE_PATH name "${SOURCE}" "${file}")
    string(APPEND digests "\n${name} ${digest}")
  endforeach()
endforeach()
string(SHA256 digest "${digests}")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define PALIMPSEST_SOURCES_SHA256 \"@digest@\"\n" @ONLY)
