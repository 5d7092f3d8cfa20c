#include "app/process.hpp"

#include <cstdlib>
#include <filesystem>

#include "base/process.hpp"

namespace palimpsest::app {

int run_program(const std::vector<std::string>& command) { return shell_status(wait_for(spawn({.words = command}))); }

std::string python() {
  const char* given = std::getenv("PALIMPSEST_PYTHON");
  if (given != nullptr && *given != '\0') return given;
  const std::string built_with = PALIMPSEST_PYTHON_PROGRAM;
  return std::filesystem::exists(built_with) ? built_with : "python3";
}

}  // namespace palimpsest::app
