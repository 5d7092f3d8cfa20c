# What `cmake --install` puts where: the program, its headers for plugin authors, the licence. Plugins install themselves
# (PalimpsestPlugin). The program finds them in lib/palimpsest/plugins beside its own bin/.
if(TARGET palimpsest)
  install(TARGETS palimpsest RUNTIME DESTINATION bin)
endif()
install(DIRECTORY framework/abi/palimpsest framework/sdk/palimpsest framework/editing DESTINATION include
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(FILES LICENSE README.md CHANGELOG.md DESTINATION share/doc/palimpsest)
install(DIRECTORY configs/ DESTINATION share/palimpsest/configs FILES_MATCHING PATTERN "*.toml" PATTERN "*.jsonl" PATTERN "*.md")
install(DIRECTORY cmake/prepare DESTINATION share/palimpsest/cmake FILES_MATCHING PATTERN "*.py" PATTERN "*.json" PATTERN "requirements.txt")
