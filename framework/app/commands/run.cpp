#include "app/checked.hpp"
#include "app/commands.hpp"
#include "app/program.hpp"
#include "app/setup.hpp"
#include "base/error.hpp"
#include "experiment/runner.hpp"

namespace palimpsest::app {

int run_command(const Arguments& arguments) {
  experiment::RunOptions options;
  options.file = arguments.positional.front();
  options.settings = arguments.values("set");
  options.jobs = arguments.integer("jobs", 1);
  options.limit = arguments.integer("limit", 1);
  options.executable = program().executable;

  const config::Document document = config::load_document(options.file, options.settings);
  if (document.root.find("tune") != nullptr) {
    fail(ErrorCode::kInvalidArgument, options.file.string(),
         ": found a table [tune], which makes it a search; start it with `palimpsest tune ", options.file.string(),
         "`");
  }
  const Setup setup(document);
  const Checked checked = check(document, setup);
  if (const int status = report_problems(checked, options.file.string()); status != 0) return status;
  return experiment::run(*checked.plan, options, setup.environment());
}

}  // namespace palimpsest::app
