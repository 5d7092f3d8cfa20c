#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "app/checked.hpp"
#include "app/commands.hpp"
#include "app/program.hpp"
#include "app/setup.hpp"
#include "base/error.hpp"
#include "experiment/devices.hpp"
#include "experiment/runner.hpp"

namespace palimpsest::app {
namespace {

config::Document document_of(const std::string& file, const std::vector<std::string>& settings) {
  config::Document document = config::load_document(file, settings);
  if (document.root.find("tune") != nullptr) {
    fail(ErrorCode::kInvalidArgument, file,
         ": found a table [tune], which makes it a search; start it with `palimpsest tune ", file, "`");
  }
  return document;
}

// One of the files, checked.
struct Prepared {
  config::Document document;
  Setup setup;
  Checked checked;

  Prepared(const std::string& file, const std::vector<std::string>& settings)
      : document(document_of(file, settings)), setup(document), checked(check(document, setup)) {}
};

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
  options.settings = arguments.values("set");
  options.jobs = arguments.integer("jobs", 1);
  options.limit = arguments.integer("limit", 1);
  options.executable = program().executable;
  if (arguments.options.contains("devices")) take_devices(arguments.value("devices"), options);

  // All files are in order before the first of them runs.
  std::vector<std::unique_ptr<Prepared>> experiments;
  for (const std::string& file : arguments.positional) {
    experiments.push_back(std::make_unique<Prepared>(file, options.settings));
    const Prepared& made = *experiments.back();
    if (const int status = report_problems(made.checked, file); status != 0) return status;
    check_cells(*made.checked.plan, options);
    const auto& output = made.checked.plan->experiment().experiment.output;
    const auto same = std::find_if(experiments.begin(), experiments.end(), [&](const auto& other) {
      return other->checked.plan->experiment().experiment.output == output;
    });
    if (same != std::prev(experiments.end())) {
      fail(ErrorCode::kInvalidArgument, file, ": its results go to ", output.string(), ", as those of ",
           arguments.positional[static_cast<std::size_t>(same - experiments.begin())],
           "; give each experiment a name or an output of its own");
    }
  }
  int first_failure = 0;
  for (std::size_t i = 0; i < experiments.size(); ++i) {
    options.file = arguments.positional[i];
    const int status = experiment::run(*experiments[i]->checked.plan, options, experiments[i]->setup.environment());
    if (status > 128) return status;  // stopped by a signal
    if (first_failure == 0) first_failure = status;
  }
  return first_failure;
}

}  // namespace palimpsest::app
