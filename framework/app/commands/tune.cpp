#include <algorithm>
#include <iostream>

#include "app/checked.hpp"
#include "app/commands.hpp"
#include "app/program.hpp"
#include "app/setup.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "experiment/runner.hpp"
#include "experiment/trials.hpp"
#include "results/reader.hpp"

namespace palimpsest::app {
namespace {

// Beside the results, and printed.
void write_best(const experiment::Plan& plan, const results::Table& trials, const config::PluginSpec& editor,
                const std::string& file) {
  const auto& section = plan.experiment().experiment;
  const std::string text =
      experiment::best_as_toml(*plan.search(), plan.cells(), trials, editor, file, PALIMPSEST_PROGRAM_VERSION);
  const auto path = section.output / (section.name + ".best.toml");
  write_file_atomically(path, text);
  std::cout << "\nThe best trial's settings are in " << path.string() << ":\n\n" << text;
}

}  // namespace

int tune_command(const Arguments& arguments) {
  experiment::RunOptions options;
  options.file = arguments.positional.front();
  options.settings = arguments.values("set");
  options.jobs = arguments.integer("jobs", 1);
  options.executable = program().executable;

  const config::Document document = config::load_document(options.file, options.settings);
  if (document.root.find("tune") == nullptr) {
    fail(ErrorCode::kInvalidArgument, options.file.string(),
         ": found no table [tune], expected one with the parameters to search (docs/tuning.md); `palimpsest run` "
         "carries out an experiment without a search");
  }
  const Setup setup(document);
  const Checked checked = check(document, setup);
  if (const int status = report_problems(checked, options.file.string()); status != 0) return status;
  const experiment::Plan& plan = *checked.plan;
  const int status = experiment::run(plan, options, setup.environment());
  // Stopped: the same command goes on. Trials that failed take nothing from the others.
  const auto& section = plan.experiment().experiment;
  const auto results = section.output / (section.name + ".h5");
  // Without a cell of this search, the file there is an earlier one's, with other trials under the same numbers.
  const bool any = std::any_of(plan.nodes().begin(), plan.nodes().end(), [&](const auto& node) {
    return node.kind == experiment::NodeKind::kCell && plan.is_done(node);
  });
  if (status > 1 || !any) return status;
  const results::Table trials = results::Reader(results).table("/trials");
  if (status == 1 && !experiment::best_trial(trials)) return status;
  write_best(plan, trials, *setup.catalog().find("editor", plan.search()->editor), options.file.string());
  std::cout.flush();
  return status;
}

}  // namespace palimpsest::app
