# The precompiled torch headers of the program's own tree, made once; palimpsest_use_torch() uses them.
file(WRITE "${CMAKE_BINARY_DIR}/torch_pch.cpp.in" "\n")
configure_file("${CMAKE_BINARY_DIR}/torch_pch.cpp.in" "${CMAKE_BINARY_DIR}/torch_pch.cpp" COPYONLY)
option(PALIMPSEST_PCH "Precompile torch's headers (off for clang-tidy, which cannot read g++'s)" ON)
if(PALIMPSEST_PCH)
  add_library(palimpsest_torch_pch OBJECT "${CMAKE_BINARY_DIR}/torch_pch.cpp")
  target_link_libraries(palimpsest_torch_pch PRIVATE palimpsest_options palimpsest_torch)
  target_precompile_headers(palimpsest_torch_pch PRIVATE <ATen/ATen.h> <string> <vector> <memory> <unordered_map>)
endif()
