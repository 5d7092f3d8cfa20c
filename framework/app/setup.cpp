#include "app/setup.hpp"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>

#include "app/program.hpp"
#include "config/experiment.hpp"

namespace palimpsest::app {

std::vector<std::filesystem::path> plugin_folders(const std::vector<std::filesystem::path>& configured) {
  std::vector<std::filesystem::path> folders = {program().plugins};
  folders.insert(folders.end(), configured.begin(), configured.end());
  if (const char* path = std::getenv("PALIMPSEST_PLUGIN_PATH")) {
    std::istringstream parts(path);
    for (std::string part; std::getline(parts, part, ':');) {
      if (!part.empty()) folders.push_back(std::filesystem::absolute(part).lexically_normal());
    }
  }
  // A folder named twice holds the same libraries, not rivals.
  std::vector<std::filesystem::path> once;
  for (const auto& folder : folders) {
    if (std::find(once.begin(), once.end(), folder) == once.end()) once.push_back(folder);
  }
  return once;
}

Setup::Setup(const config::Document& document)
    : registry_(plugin_folders(config::plugin_folders(document, program().locations)), host_build()),
      catalog_(registry_),
      store_(program().store()) {
  environment_.locations = program().locations;
  environment_.registry = &registry_;
  environment_.catalog = &catalog_;
  environment_.store = &store_;
  environment_.needs.command = {program().executable.string(), "ask-plugin"};
  environment_.needs.cache = program().store() / "probes";
}

}  // namespace palimpsest::app
