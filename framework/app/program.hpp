// Where this program is, and what belongs to it: the source tree or the installation, its home, its plugins.
#pragma once

#include <filesystem>

#include "config/schema.hpp"
#include "plugin/library.hpp"

namespace palimpsest::app {

struct Program {
  std::filesystem::path executable;
  bool installed = false;         // not in a build tree
  std::filesystem::path plugins;  // the program's own
  std::filesystem::path scripts;  // of `prepare`
  config::Locations locations;    // root: share/palimpsest of the installation or the build folder
  std::filesystem::path store() const { return locations.home / "store"; }
  std::filesystem::path model() const { return locations.home / "models" / "smollm2-135m-instruct"; }
  std::filesystem::path data() const { return locations.home / "data"; }
  std::filesystem::path evaluation() const { return locations.home / "evaluation"; }
};

// Home is PALIMPSEST_HOME; without it the folder that the build was made for, or, installed, ~/.palimpsest.
const Program& program();

// What plugin libraries are checked against: the libtorch of this program.
plugin::HostBuild host_build();

}  // namespace palimpsest::app
