// A results file with rows chosen by hand: what the tests of the summary, the contrasts and the report start from.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "analysis/summary_data.hpp"
#include "results/reader.hpp"
#include "results/table.hpp"
#include "results/writer.hpp"

namespace palimpsest::analysis {

inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

struct SampleCell {
  std::string name;
  std::int64_t replicate = 0;
  std::string variant = "";
  std::string editor = "rome";
  double loss_before = kMissing, loss_after = kMissing;
  std::vector<std::pair<std::string, std::string>> at = {};
  std::string freeze_policy = "none";
  std::string trained_weights = "";  // "": by the freeze policy alone
};

// A measuring point of one cell, and in scope isolated of one edit.
struct At {
  std::string cell;
  std::int64_t ordinal = 0;
  std::string stage = "base";
  std::int64_t step = 0;
  std::int64_t replicate = 0;
  std::string edit = "";
};

class SampleFile {
 public:
  void cell(const SampleCell& cell) {
    using Texts = std::vector<std::string>;
    const bool tuned = !std::isnan(cell.loss_after);
    results::Table table{"/cells", "one cell of the experiment", {}};
    const auto text = [&](const char* name, const std::string& value) {
      table.columns.push_back({name, "", "a text of the cell", Texts{value}});
    };
    const auto whole = [&](const char* name, std::int64_t value) {
      table.columns.push_back({name, "", "a number of the cell", std::vector<std::int64_t>{value}});
    };
    const auto real = [&](const char* name, double value) {
      table.columns.push_back({name, "nat/token", "a loss", std::vector<double>{value}});
    };
    const auto truth = [&](const char* name, bool value) {
      table.columns.push_back({name, "", "a truth", std::vector<results::Bool>{value}});
    };
    text("cell", cell.name);
    text("variant", cell.variant);
    whole("replicate", cell.replicate);
    truth("swapped", cell.replicate % 2 == 1);
    whole("seed", 7 + cell.replicate);
    text("editor", cell.editor);
    truth("unedited", cell.editor == "none");
    text("augmenter", "none");
    text("task", tuned ? "language_modeling" : "");
    text("freeze_policy", cell.freeze_policy);
    text("tuning", "full");
    text("trained_weights", cell.trained_weights.empty() ? cell.freeze_policy : cell.trained_weights);
    text("scope", "batch");
    text("model", "models/tiny");
    text("facts", "facts/world.jsonl");
    whole("edited", 4);
    whole("intrinsic", 4);
    whole("unmatched", 0);
    truth("tuned", tuned);
    whole("steps", tuned ? 10 : 0);
    whole("tokens_trained", tuned ? 8000 : 0);
    real("validation_loss_before", cell.loss_before);
    real("validation_loss_after", cell.loss_after);
    text("stop_reason", tuned ? "max_steps" : "");
    for (const auto& [key, value] : cell.at) text(("at_" + key).c_str(), value);
    if (cells_.columns.empty()) {
      cells_ = std::move(table);
    } else {
      cells_.append(table);
    }
  }

  // A metric's columns besides those that every metric's table has; all hold numbers, except for those of aggregate
  // "text".
  struct Declared {
    std::string name, aggregate, baseline = "none", gate = "none", unit = "1";
  };
  void metric(const std::string& id, const std::vector<Declared>& columns, const std::string& group = "/metrics/") {
    using Texts = std::vector<std::string>;
    using Whole = std::vector<std::int64_t>;
    results::Table table{group + id,
                         "one measurement",
                         {{"cell", "", "name of the cell", Texts()},
                          {"replicate", "", "number of the replicate", Whole()},
                          {"edit", "", "the isolated edit", Texts()},
                          {"ordinal", "", "place of the stage", Whole()},
                          {"stage", "", "name of the stage", Texts()},
                          {"step", "optimiser step", "step of fine-tuning", Whole()},
                          {"fact", "", "id of the fact", Texts()},
                          {"role", "", "role of the fact", Texts()}}};
    for (const auto& column : columns) {
      results::Values values = std::vector<double>();
      if (column.aggregate == "text") values = Texts();
      table.columns.push_back({column.name, column.unit, "measured as " + column.name, values});
    }
    metrics_.push_back({std::move(table), columns});
  }
  // all_top1 and margin, generated and its placebo, and a text that no summary reads.
  void retention() {
    metric("retention", {{"all_top1", "rate", "both", "efficacy"},
                         {"margin", "mean", "none", "none", "nat"},
                         {"generated", "rate", "both"},
                         {"generated_placebo", "rate"},
                         {"continuation", "text"}});
  }

  void row(const std::string& metric, const At& at, const std::string& fact, const std::string& role,
           const std::vector<results::Value>& values) {
    for (auto& [table, columns] : metrics_) {
      if (!table.name.ends_with("/" + metric)) continue;
      std::vector<results::Value> row{at.cell, at.replicate, at.edit, at.ordinal, at.stage, at.step, fact, role};
      row.insert(row.end(), values.begin(), values.end());
      table.append_row(row);
    }
  }
  // Of `retention`, facts named by role and place: e1, e2, ... or i1, i2, ...; margin 1 where it is right, -1 else.
  void answers(const At& at, const std::string& role, const std::vector<double>& right) {
    for (std::size_t i = 0; i < right.size(); ++i) {
      const double margin = std::isnan(right[i]) ? right[i] : right[i] != 0 ? 1.0 : -1.0;
      row("retention", at, role.substr(0, 1) + std::to_string(i + 1), role,
          {right[i], margin, right[i], 0.0, "and so on"});
    }
  }
  // On the held-out sample, after `at.step` steps of the fine-tuning `at.ordinal`.
  void evaluation(const At& at, double loss) {
    if (evaluations_.columns.empty()) {
      using Texts = std::vector<std::string>;
      using Whole = std::vector<std::int64_t>;
      evaluations_ = {"/evaluations",
                      "one evaluation",
                      {{"cell", "", "name of the cell", Texts()},
                       {"replicate", "1", "number of the replicate", Whole()},
                       {"edit", "", "the isolated edit", Texts()},
                       {"ordinal", "1", "place of the stage", Whole()},
                       {"step", "optimiser step", "step of fine-tuning", Whole()},
                       {"validation_loss", "nat/token", "mean loss", std::vector<double>()}}};
    }
    evaluations_.append_row({at.cell, at.replicate, at.edit, at.ordinal, at.step, loss});
  }

  void fill(results::Writer& writer) const {
    writer.table(cells_);
    if (!evaluations_.columns.empty()) writer.table(evaluations_);
    for (const auto& [table, columns] : metrics_) {
      writer.table(table);
      for (const auto& column : columns) {
        const std::string path = table.name + "/" + column.name;
        writer.attribute(path, "aggregate", column.aggregate == "text" ? std::string("none") : column.aggregate);
        writer.attribute(path, "baseline", column.baseline);
        writer.attribute(path, "gate", column.gate);
      }
    }
  }
  std::filesystem::path write(const std::filesystem::path& path) const {
    results::Writer writer;
    fill(writer);
    writer.commit(path);
    return path;
  }
  Measurements read(const std::filesystem::path& folder) const {
    return read_measurements(results::Reader(write(folder / "sample.h5")));
  }

 private:
  results::Table cells_, evaluations_;
  std::vector<std::pair<results::Table, std::vector<Declared>>> metrics_;
};

// One cell from base to the end of its fine-tuning, with four edited facts.
inline SampleFile tuned() {
  SampleFile file;
  file.cell({"r0", 0, "", "rome", 3.2, 3.0});
  file.retention();
  file.answers({"r0", 0, "base"}, "edited", {0, 0, 0, 1});
  file.answers({"r0", 1, "edited"}, "edited", {1, 1, 1, 0});
  file.answers({"r0", 2, "step", 5}, "edited", {1, 0, 0, 0});
  file.answers({"r0", 2, "finetuned", 10}, "edited", {1, 0, 1, 1});
  return file;
}

}  // namespace palimpsest::analysis
