// What the cells measured, as the summary, the contrasts and the report read it: from cell files, or from the
// experiment's file that holds their rows.
//
// Plain data, never changed after it is read; no ties to the file. A configuration is a cell without its replicate. Not
// synchronised.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "results/reader.hpp"
#include "results/table.hpp"

namespace palimpsest::analysis {

// How a metric or a task declared one of its columns: the attributes of the stored column.
struct MetricColumn {
  std::string name, unit, definition;
  std::string aggregate;  // "none", "mean", "rate"
  std::string baseline;   // "none", "base", "edited", "both"
  std::string gate;       // "none", "efficacy", "neighbourhood", "perplexity"
};

struct MetricRows {
  std::string id;                     // as in /metrics/<id> or /task_score/<id>
  results::Table table;               // declared truth values as float64: 0, 1, or NaN where the file holds NaN
  std::vector<MetricColumn> columns;  // the declared ones, in their order

  // nullptr when the metric declares no such column.
  const MetricColumn* find(std::string_view column) const;
};

struct Measurements {
  results::Table cells;                 // /cells
  results::Table evaluations;           // /evaluations; without columns where nothing was fine-tuned
  std::vector<MetricRows> metrics;      // in the order of the files, which is that of the configuration
  std::vector<MetricRows> task_scores;  // of /task_score, one a task

  // nullptr when the experiment has no such metric.
  const MetricRows* metric(std::string_view id) const;
};

// What the contrasts and the report are about: the outcomes that a metric declared first. They point into the
// measurements.
struct Primary {
  const MetricRows* metric = nullptr;
  const MetricColumn* rate = nullptr;        // the first rate with a baseline
  const MetricColumn* continuous = nullptr;  // the first mean in a unit other than 1; nullptr: none
};
// Of every metric that has a primary rate: those with a continuous outcome too, then the others, each in the order of
// the configuration.
std::vector<Primary> primaries_of(const Measurements& measurements);

// The files' rows, in the order of `files`; tables other than /cells may be absent from any of them. Throws what Reader
// and Table::append throw, with the file named.
Measurements read_measurements(std::span<const std::filesystem::path> files);
// Of one open file: an experiment's or a cell's.
Measurements read_measurements(const results::Reader& reader);

// A cell without its replicate: the rows of /cells that share it.
struct Configuration {
  std::string name;                // the cell's name without ",r<replicate>"; "default" where nothing is left
  std::string variant;             // "" without variants
  std::vector<std::string> swept;  // the values of the columns at_*, in their order
  bool unedited = false;           // no stage edits, or the editor edits nothing
  std::vector<std::size_t> rows;   // of /cells, one per replicate
};

// In the order of /cells. Throws Error(kInvalidArgument) when two rows are the same cell.
std::vector<Configuration> configurations_of(const results::Table& cells);

// When something was measured: the stage's place in the cell's list (0: the unedited model), its name, the step. All
// `finetuned` measurements of one ordinal are one point, since cells may stop at different steps.
struct Point {
  std::int64_t ordinal = 0;
  std::string stage;      // "base", "edited", "step", "finetuned"
  std::int64_t step = 0;  // 0 for `finetuned`: see Series::last_step

  // By ordinal; within it `base`, `edited`, `step` by step, `finetuned`.
  std::strong_ordering operator<=>(const Point& other) const;
  bool operator==(const Point& other) const = default;
};

// One measured thing: a fact; in scope `isolated` a fact after one edit. `repeat` counts a metric's further rows about
// it.
struct Unit {
  std::string edit, fact;
  std::int64_t repeat = 0;
  auto operator<=>(const Unit&) const = default;

  // Units that share this are one fact's; of rows about no fact, one model's.
  const std::string& subject() const { return fact.empty() ? edit : fact; }
};

// One column of one metric, in one configuration, for facts of one role ("" for rows about no fact).
struct Series {
  using Values = std::map<Unit, double>;              // NaN is missing
  using Replicated = std::map<std::int64_t, Values>;  // by replicate
  std::map<Point, Replicated> points;
  std::map<Point, std::int64_t> last_step;  // the largest step among a point's rows
  // The step of each model at a point, by replicate and edit: models stop at steps of their own.
  std::map<std::tuple<Point, std::int64_t, std::string>, std::int64_t> step_of;

  bool empty() const { return points.empty(); }
  // nullptr when the point was not measured.
  const Replicated* at(const Point& point) const;
  // What a value at a point is compared with: the unedited model; the first stage `edited` not after `point`. Nothing
  // where that was not measured.
  std::optional<Point> base() const;
  std::optional<Point> edited(const Point& point) const;
};

// What an outcome at `point` is compared with, by the baseline of its rate: the first stage `edited` before `point`,
// where there is none the unedited model. A baseline that names one of the two is that one alone. Nothing where it was
// not measured.
std::optional<Point> reference_of(const Series& series, const Point& point, std::string_view baseline);

// The value of `unit` at a reference, which in scope `isolated` may have been measured once for all edits. NaN where
// there is none.
double reference_value(const Series::Values& values, const Unit& unit);

// All series of a metric, by (configuration's index, role), for one column of numbers. In scope `isolated` the edited
// facts that are not the one edited are left out. Throws Error(kInvalidArgument) for a text column, and for a cell that
// /cells does not have.
using SeriesKey = std::pair<std::size_t, std::string>;
std::map<SeriesKey, Series> series_of(const MetricRows& metric, std::string_view column, const results::Table& cells,
                                      const std::vector<Configuration>& configurations);

}  // namespace palimpsest::analysis
