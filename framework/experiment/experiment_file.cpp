#include "experiment/experiment_file.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "analysis/contrasts.hpp"
#include "analysis/summary.hpp"
#include "base/log.hpp"
#include "experiment/trials.hpp"
#include "results/merge.hpp"
#include "results/provenance.hpp"
#include "results/reader.hpp"
#include "results/writer.hpp"

namespace palimpsest::experiment {
namespace {

// Tables of all files, each path once, in the order in which they first stand.
std::vector<std::string> table_paths(const std::vector<std::filesystem::path>& files) {
  std::vector<std::string> paths;
  std::set<std::string> seen;
  for (const auto& file : files) {
    for (const auto& path : results::Reader(file).tables()) {
      const bool per_cell = path.starts_with("/provenance/");
      if (!per_cell && seen.insert(path).second) paths.push_back(path);
    }
  }
  return paths;
}

void copy_declarations(const std::vector<std::filesystem::path>& files, const std::string& path,
                       const results::Table& table, results::Writer& writer) {
  for (const auto& file : files) {
    const results::Reader reader(file);
    if (!reader.has(path)) continue;
    for (const auto& column : table.columns) {
      for (const auto& [name, value] : reader.attributes(path + "/" + column.name)) {
        if (name == "aggregate" || name == "baseline" || name == "gate")
          writer.attribute(path + "/" + column.name, name, value);
      }
    }
    return;
  }
}

}  // namespace

std::filesystem::path write_experiment_file(const Plan& plan) {
  std::vector<std::filesystem::path> files, timings;
  for (const auto& node : plan.nodes()) {
    if (node.kind != NodeKind::kCell || !plan.is_done(node)) continue;
    files.push_back(plan.cell_file(node.cell));
    auto timing = files.back();
    timing.replace_extension(".timing.h5");
    if (std::filesystem::exists(timing)) timings.push_back(timing);
  }
  if (files.empty()) return {};

  results::Writer writer;
  for (const auto& path : table_paths(files)) {
    const results::Table table = results::merge_tables(files, path);
    writer.table(table);
    copy_declarations(files, path, table, writer);
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    const results::Reader reader(files[i]);
    const std::string group = "/provenance/" + files[i].stem().string();
    results::copy_group(reader, "/provenance", writer, group);
    for (const auto& [name, value] : reader.attributes("/")) {
      if (name != results::kSchemaAttribute) writer.attribute(group, name, value);
    }
    if (reader.has("/updates/data")) {
      for (const auto& cell : reader.children("/updates/data")) {
        results::copy_group(reader, "/updates/data/" + cell, writer, "/updates/data/" + cell);
      }
    }
  }
  const analysis::Measurements measurements = analysis::read_measurements(files);
  analysis::SummaryOptions options;
  options.seed = static_cast<std::uint64_t>(plan.experiment().experiment.seed);
  const results::Table gate = analysis::quality_gate(measurements);
  writer.table(analysis::summarise(measurements, options));
  writer.table(analysis::retention_by_margin(measurements, options));
  writer.table(gate);
  writer.table(analysis::contrasts(measurements, gate, options));
  if (plan.search()) {
    writer.table(trials_table(*plan.search(), plan.cells(), measurements));
    writer.attribute("/trials", "seed", static_cast<std::int64_t>(plan.search()->seed));
    writer.attribute("/trials", "editor", plan.search()->editor);
  }
  for (const char* path : {"/timing", "/plugin_files"}) {
    const auto has = [&](const auto& file) { return results::Reader(file).has(path); };
    if (std::any_of(timings.begin(), timings.end(), has)) writer.table(results::merge_tables(timings, path));
  }

  const auto& e = plan.experiment().experiment;
  const auto path = e.output / (e.name + ".h5");
  writer.commit(path);
  return path;
}

}  // namespace palimpsest::experiment
