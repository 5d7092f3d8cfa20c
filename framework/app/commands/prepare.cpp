#include <filesystem>
#include <iostream>

#include "app/commands.hpp"
#include "app/process.hpp"
#include "app/program.hpp"
#include "base/error.hpp"

namespace palimpsest::app {
namespace {

// What a user can do about a script that did not work.
std::string remedy(const std::string& interpreter) {
  return cat("; it was run with ", interpreter,
             " (the variable PALIMPSEST_PYTHON chooses another), which needs the packages of ",
             (program().scripts / "requirements.txt").string(), ": ", interpreter, " -m pip install -r FILE");
}

void run_script(const char* name, const std::filesystem::path& output) {
  const auto script = program().scripts / name;
  if (!std::filesystem::exists(script)) {
    fail(ErrorCode::kNotFound, "the script ", script.string(),
         " does not exist; the installation, or the source tree, is not whole");
  }
  const std::string interpreter = python();
  int status = 0;
  try {
    status = run_program({interpreter, script.string(), "--output", output.string()});
  } catch (const Error& error) {
    throw Error(error.code(), error.what() + remedy(interpreter));
  }
  if (status != 0) {
    fail(ErrorCode::kIo, script.filename().string(), " ended with status ", status, remedy(interpreter));
  }
}

}  // namespace

int prepare_command(const Arguments&) {
  const Program& self = program();
  run_script("prepare_model.py", self.model());
  run_script("prepare_text.py", self.data());
  // Within the texts' folder, so after it.
  run_script("prepare_tasks.py", self.data() / "tasks");
  run_script("prepare_evaluation.py", self.evaluation());
  std::cout << "model: " << self.model().string() << "\ntexts: " << self.data().string()
            << "\ntasks: " << (self.data() / "tasks").string() << "\nevaluation: " << self.evaluation().string()
            << '\n';
  return 0;
}

}  // namespace palimpsest::app
