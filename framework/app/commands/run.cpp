#include "app/checked.hpp"
#include "app/commands.hpp"
#include "app/program.hpp"
#include "app/setup.hpp"
#include "base/error.hpp"
#include "experiment/devices.hpp"
#include "experiment/runner.hpp"

namespace palimpsest::app {
namespace {

// Workers' own devices decide; the experiment knows only their type, so that its results do not depend on which of them
// a worker had.
void take_devices(const std::string& list, experiment::RunOptions& options) {
  options.devices = experiment::parse_devices(list);
  for (const auto& device : options.devices) experiment::check_device(device, "a device of --devices");
  options.settings.push_back("model.device=" + config::device_type(options.devices.front()));
}

// A sweep over model.device would be laid over the list.
void check_cells(const experiment::Plan& plan, const experiment::RunOptions& options) {
  if (options.devices.empty()) return;
  const std::string type = config::device_type(options.devices.front());
  for (const auto& cell : plan.cells()) {
    const std::string& own = cell.experiment.model.device;
    if (config::device_type(own) == type) continue;
    fail(ErrorCode::kInvalidArgument, "--devices gives workers a ", type, ", and the sweep gives the cell ", cell.name,
         " model.device = \"", own, "\"; leave one of them out");
  }
}

}  // namespace

int run_command(const Arguments& arguments) {
  experiment::RunOptions options;
  options.file = arguments.positional.front();
  options.settings = arguments.values("set");
  options.jobs = arguments.integer("jobs", 1);
  options.limit = arguments.integer("limit", 1);
  options.executable = program().executable;
  if (arguments.options.contains("devices")) take_devices(arguments.value("devices"), options);

  const config::Document document = config::load_document(options.file, options.settings);
  if (document.root.find("tune") != nullptr) {
    fail(ErrorCode::kInvalidArgument, options.file.string(),
         ": found a table [tune], which makes it a search; start it with `palimpsest tune ", options.file.string(),
         "`");
  }
  const Setup setup(document);
  const Checked checked = check(document, setup);
  if (const int status = report_problems(checked, options.file.string()); status != 0) return status;
  check_cells(*checked.plan, options);
  return experiment::run(*checked.plan, options, setup.environment());
}

}  // namespace palimpsest::app
