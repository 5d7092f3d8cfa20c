#include "app/program.hpp"

#include <cstdlib>

#include "experiment/keys.hpp"

namespace palimpsest::app {
namespace fs = std::filesystem;
namespace {

Program find_program() {
  Program found;
  found.executable = fs::read_symlink("/proc/self/exe");
  const fs::path prefix = found.executable.parent_path().parent_path();
  found.installed = !fs::exists(prefix / "CMakeCache.txt");
  found.plugins = found.installed ? prefix / "lib" / "palimpsest" / "plugins" : prefix / "plugins";
  // A build folder has the same share/palimpsest, with links into the source tree (PalimpsestShare.cmake).
  const fs::path root = prefix / "share" / "palimpsest";
  found.locations = config::locations_of_process(root);
  if (const char* home = std::getenv("PALIMPSEST_HOME"); home == nullptr || *home == '\0') {
    const char* user = std::getenv("HOME");
    found.locations.home = !found.installed  ? fs::path(PALIMPSEST_HOME_FOLDER)
                           : user != nullptr ? fs::path(user) / ".palimpsest"
                                             : root / ".palimpsest";
  }
  found.scripts = root / "cmake" / "prepare";
  return found;
}

}  // namespace

const Program& program() {
  static const Program found = find_program();
  return found;
}

plugin::HostBuild host_build() {
  const Program& self = program();
  plugin::HostBuild build;
  build.torch_tag = PALIMPSEST_TORCH_TAG;
  build.torch_version = experiment::machine().torch_version;
  build.probe_command = {self.executable.string(), "probe-plugin"};
  build.probe_cache = self.store() / "probes";
  return build;
}

}  // namespace palimpsest::app
