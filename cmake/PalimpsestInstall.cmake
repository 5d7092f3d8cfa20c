# What `cmake --install` puts where. The program finds the rest from its own place: plugins in lib/palimpsest/plugins, everything
# else in share/palimpsest. Plugins install themselves (PalimpsestPlugin). For authors of plugins: headers below
# include/palimpsest, libpalimpsest_editing.a, libpalimpsest_testing.so, and the CMake package that names them.
include(CMakePackageConfigHelpers)

# What is installed, to be built before.
add_custom_target(installable ALL DEPENDS palimpsest_editing palimpsest_testing plugins)
if(TARGET palimpsest)
  add_dependencies(installable palimpsest)
  install(TARGETS palimpsest RUNTIME DESTINATION bin)
endif()
install(TARGETS palimpsest_editing ARCHIVE DESTINATION lib)
install(TARGETS palimpsest_testing LIBRARY DESTINATION lib)
install(DIRECTORY framework/abi/palimpsest framework/sdk/palimpsest framework/editing DESTINATION include/palimpsest
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

set(_package lib/cmake/Palimpsest)
get_filename_component(PALIMPSEST_TORCH_FOLDER "${PALIMPSEST_TORCH_LIB_DIR}" DIRECTORY)
configure_package_config_file(cmake/PalimpsestConfig.cmake.in "${CMAKE_BINARY_DIR}/PalimpsestConfig.cmake"
  INSTALL_DESTINATION ${_package} NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# While the major version is 0 every minor one may change everything.
write_basic_package_version_file("${CMAKE_BINARY_DIR}/PalimpsestConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/PalimpsestConfig.cmake" "${CMAKE_BINARY_DIR}/PalimpsestConfigVersion.cmake"
  cmake/PalimpsestPlugin.cmake cmake/PalimpsestTorch.cmake cmake/plugin.map cmake/plugin_note.c.in DESTINATION ${_package})

install(DIRECTORY "${CMAKE_BINARY_DIR}/share/palimpsest/tiny" DESTINATION share/palimpsest)
install(DIRECTORY plugins/template DESTINATION share/palimpsest/plugins)
install(DIRECTORY configs/ DESTINATION share/palimpsest/configs FILES_MATCHING PATTERN "*.toml" PATTERN "*.jsonl" PATTERN "*.md")
install(DIRECTORY cmake/prepare DESTINATION share/palimpsest/cmake FILES_MATCHING PATTERN "*.py" PATTERN "*.json" PATTERN "requirements.txt")
install(FILES LICENSE README.md CHANGELOG.md CONTRIBUTING.md DESTINATION share/doc/palimpsest)
install(DIRECTORY docs DESTINATION share/doc/palimpsest)
# What each plugin computes: the pages of docs/plugins lead there.
install(DIRECTORY plugins DESTINATION share/doc/palimpsest FILES_MATCHING PATTERN "README.md" PATTERN "template" EXCLUDE)
