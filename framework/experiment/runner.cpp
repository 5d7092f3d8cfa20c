#include "experiment/runner.hpp"

#include <unistd.h>

#include <iostream>
#include <iterator>
#include <map>
#include <set>

#include "analysis/report.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/progress.hpp"
#include "experiment/experiment_file.hpp"
#include "experiment/progress_view.hpp"
#include "experiment/supervisor.hpp"
#include "results/reader.hpp"
#include "results/writer.hpp"

namespace palimpsest::experiment {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kTiming = "/timing";
constexpr std::size_t kComputed = 5;  // place of that column in it
constexpr std::string_view kPluginFiles = "/plugin_files";

// Made and written to before any work, so that hours of it do not end at a closed door.
void open_output(const fs::path& output) {
  std::error_code error;
  fs::create_directories(output / "cells", error);
  if (error) {
    fail(ErrorCode::kIo, "the output folder ", (output / "cells").string(), " cannot be made: ", error.message(),
         "; choose another with --set experiment.output=...");
  }
  const fs::path trial = output / "cells" / cat(".writable-", ::getpid());
  try {
    write_file_atomically(trial, "trial\n");
  } catch (const Error& problem) {
    rethrow_with_context(problem, "the output folder cannot be written to");
  }
  fs::remove(trial, error);
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

results::Table timing_table() {
  return {
      std::string(kTiming),
      "One node of the plan that the cell is made from, and what it cost when it was computed. Nodes that cells "
      "share stand under each.",
      {results::text_column("cell", "Name of the cell."), results::text_column("node", "Id of the node in the plan."),
       results::text_column("label", "What the node is."),
       results::number_column("seconds", "s", "Wall time of its worker."),
       results::integer_column("peak_memory", "MiB", "Highest resident size of its worker, mapped files included."),
       results::integer_column("computed", "1",
                               "How often it was computed for this cell's results: once, also where several cells "
                               "share it, unless the store lost it."),
       results::text_column("host", "Name of the machine.")}};
}

// Where the cell's plugins were loaded from; what they are stands in /provenance/plugins of the cell's own file.
results::Table plugin_files(const config::Cell& cell, plugin::Registry& registry) {
  results::Table table{
      std::string(kPluginFiles),
      "One plugin of the cell, and the file that it was loaded from when the cell was made.",
      {results::text_column("cell", "Name of the cell."), results::text_column("kind", "Kind of the plugin."),
       results::text_column("id", "Id of the plugin."),
       results::text_column("version", "Version that the plugin states."),
       results::text_column("sha256", "SHA-256 of the file."), results::text_column("path", "Path of the file.")}};
  for (const auto& [kind, choice] : cell.experiment.plugins()) {
    const auto found = registry.find(abi_kind(kind), choice->id);
    table.append_row({cell.name, found.descriptor->kind, choice->id, found.descriptor->version, found.library->sha256(),
                      found.library->path().string()});
  }
  return table;
}

// The ids of all that a cell is made from, itself included.
std::set<std::string> closure(const Plan& plan, const std::string& id) {
  std::set<std::string> found;
  std::vector<std::string> open = {id};
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    if (!found.insert(next).second) continue;
    const auto& below = plan.find(next).depends_on;
    open.insert(open.end(), below.begin(), below.end());
  }
  return found;
}

// What an earlier run measured, by node; nothing where there is no sidecar or it cannot be read.
std::map<std::string, std::vector<results::Value>> earlier_rows(const fs::path& sidecar) {
  std::map<std::string, std::vector<results::Value>> rows;
  if (!fs::exists(sidecar)) return rows;
  try {
    const results::Table table = results::Reader(sidecar).table(kTiming);
    for (std::size_t i = 0; i < table.rows(); ++i) {
      const auto text = [&](const char* column) { return table.values<std::string>(column)[i]; };
      rows[text("node")] = {text("cell"),
                            text("node"),
                            text("label"),
                            table.values<double>("seconds")[i],
                            table.values<std::int64_t>("peak_memory")[i],
                            table.values<std::int64_t>("computed")[i],
                            text("host")};
    }
  } catch (const Error&) {
    // Times are no result: a sidecar that is damaged, or of an older program, is made anew.
    rows.clear();
    std::error_code error;
    fs::remove(sidecar, error);
  }
  return rows;
}

// Times, machine and paths go beside the cell's file, never into it, so that equal runs give equal files.
void write_timings(const Plan& plan, const RunReport& report, plugin::Registry& registry) {
  std::map<std::string, const NodeReport*> ran;
  for (const NodeReport& node : report.nodes) {
    if (node.state == NodeState::kRan) ran[node.id] = &node;
  }
  const std::string host = host_name();
  for (const PlanNode& node : plan.nodes()) {
    if (node.kind != NodeKind::kCell || !plan.is_done(node)) continue;
    const std::string& cell = plan.cells()[node.cell].name;
    fs::path sidecar = plan.cell_file(node.cell);
    sidecar.replace_extension(".timing.h5");
    auto rows = earlier_rows(sidecar);
    const auto ids = closure(plan, node.id);
    std::erase_if(rows, [&](const auto& row) { return !ids.contains(row.first); });
    bool news = false;
    for (const std::string& id : ids) {
      const auto found = ran.find(id);
      if (found == ran.end()) continue;
      const auto earlier = rows.find(id);
      const std::int64_t computed =
          earlier == rows.end() ? 0 : std::get<std::int64_t>(earlier->second[kComputed].get());
      const NodeReport& node_report = *found->second;
      rows[id] = {cell, id, node_report.label, node_report.seconds, node_report.peak_mib, computed + 1, host};
      news = true;
    }
    if (!news) continue;
    results::Table table = timing_table();
    for (const auto& [id, row] : rows) table.append_row(row);
    results::Writer writer;
    writer.table(table);
    writer.table(plugin_files(plan.cells()[node.cell], registry));
    writer.commit(sidecar);
  }
}

// The same run again would do the same: what failed is said with the log that has the rest.
void print_failures(const RunReport& report) {
  for (const NodeReport& node : report.nodes) {
    if (node.state != NodeState::kFailed) continue;
    std::cerr << "error: " << node.label << ": " << (node.message.empty() ? "no result" : node.message);
    if (!node.log.empty() && node.message.find(node.log.string()) == std::string::npos)
      std::cerr << " (log: " << node.log.string() << ")";
    std::cerr << '\n';
  }
  const int skipped = report.count(NodeState::kSkipped);
  if (skipped > 0) std::cerr << "error: " << skipped << " more nodes need these and were not started\n";
}

SupervisorOptions supervisor_options(const Plan& plan, const RunOptions& options, const Environment& environment,
                                     RunObserver& view) {
  const config::RunSection& run = plan.experiment().run;
  SupervisorOptions made;
  const auto& devices = options.devices;
  made.jobs = options.jobs.value_or(static_cast<int>(devices.empty() ? run.jobs : std::ssize(devices)));
  made.limit = options.limit;
  made.node_seconds = run.node_seconds;
  made.node_memory_mib = run.node_memory;
  made.is_done = [&plan](const Node& node) { return plan.is_done(plan.find(node.id)); };
  made.command = [&plan, &options](const Node& node, int slot) {
    std::vector<std::string> words = {
        options.executable.string(), "worker", "--plan-digest", plan.digest(), "--node", node.id,
        options.file.string()};
    if (!options.devices.empty()) {
      words.emplace_back("--device");
      words.push_back(options.devices[static_cast<std::size_t>(slot) % options.devices.size()]);
    }
    for (const std::string& setting : options.settings) {
      words.emplace_back("--set");
      words.push_back(setting);
    }
    return words;
  };
  made.environment = thread_environment(static_cast<int>(run.threads));
  made.log_folder = plan.experiment().experiment.output / "logs";
  made.lock_folder = lock_folder(*environment.store);
  made.observer = &view;
  return made;
}

}  // namespace

fs::path lock_folder(const Store& store) { return store.folder() / "locks"; }

int run(const Plan& plan, const RunOptions& options, const Environment& environment) {
  open_output(plan.experiment().experiment.output);
  RunReport report;
  {
    ProgressView view;
    report = run_graph(plan.graph(), supervisor_options(plan, options, environment, view));
  }
  write_timings(plan, report, *environment.registry);
  // Before anything that the results may lack for them.
  if (report.stopped_by == 0) print_failures(report);
  const fs::path file = write_experiment_file(plan);
  if (report.stopped_by != 0) {
    std::cerr << "stopped; " << report.count(NodeState::kRan) + report.count(NodeState::kStored) << " of "
              << report.nodes.size() << " nodes are done, and the same command goes on from there\n";
    return 128 + report.stopped_by;
  }
  if (!file.empty()) {
    std::cout << analysis::report(file) << "\nEverything is in " << file.string() << " (palimpsest show "
              << file.string() << " prints this again).\n";
  }
  std::cout.flush();
  return report.ok() ? 0 : 1;
}

}  // namespace palimpsest::experiment
