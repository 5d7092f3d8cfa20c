# Writes OUTPUT, a header with the commit of SOURCE ("" outside a checkout, "+" behind it where files differ from it), only when
# that changes.
cmake_policy(VERSION 3.25)
find_program(GIT git)
set(commit "")
if(GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse HEAD OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND ${GIT} -C ${SOURCE} diff --quiet HEAD RESULT_VARIABLE dirty ERROR_QUIET)
  if(commit AND dirty)
    string(APPEND commit "+")
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define PALIMPSEST_GIT_COMMIT \"@commit@\"\n" @ONLY)
