#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "app/commands.hpp"
#include "app/process.hpp"
#include "app/program.hpp"
#include "base/error.hpp"

namespace palimpsest::app {
namespace {

// PALIMPSEST_PYTHON, or the Python that the build was made with.
std::string python() {
  const char* given = std::getenv("PALIMPSEST_PYTHON");
  std::string found = given != nullptr && *given != '\0' ? given : PALIMPSEST_PYTHON_PROGRAM;
  return found.empty() ? "python3" : found;
}

void run_script(const char* name, const std::filesystem::path& output) {
  const auto script = program().scripts / name;
  if (!std::filesystem::exists(script)) {
    fail(ErrorCode::kNotFound, "the script ", script.string(),
         " does not exist; it belongs to the program's source tree");
  }
  const int status = run_program({python(), script.string(), "--output", output.string()});
  if (status != 0) {
    fail(ErrorCode::kIo, script.filename().string(), " ended with status ", status, "; run with ", python(),
         " (PALIMPSEST_PYTHON chooses another), it needs the packages of ",
         (program().scripts / "requirements.txt").string());
  }
}

}  // namespace

int prepare_command(const Arguments&) {
  const Program& self = program();
  run_script("prepare_model.py", self.model());
  run_script("prepare_text.py", self.data());
  std::cout << "model: " << self.model().string() << "\ntexts: " << self.data().string() << '\n';
  return 0;
}

}  // namespace palimpsest::app
