#include "analysis/summary_data.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

#include "base/error.hpp"
#include "results/names.hpp"

namespace palimpsest::analysis {
namespace {

using results::Bool;
using results::Table;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view kMetrics = "/metrics";
constexpr std::string_view kTaskScore = "/task_score";
constexpr std::string_view kEvaluations = "/evaluations";

std::string text_of(const results::Attribute& attribute, const std::string& where) {
  if (const auto* text = std::get_if<std::string>(&attribute)) return *text;
  fail(ErrorCode::kInvalidArgument, where, " is not a text");
}

std::vector<double> as_numbers(const std::vector<Bool>& truths) {
  std::vector<double> numbers;
  numbers.reserve(truths.size());
  for (const auto truth : truths) numbers.push_back(truth ? 1.0 : 0.0);
  return numbers;
}

MetricRows read_metric(const results::Reader& reader, std::string_view group, const std::string& id) {
  MetricRows metric{id, reader.table(results::join(group, id)), {}};
  for (auto& column : metric.table.columns) {
    const std::string path = results::join(metric.table.name, column.name);
    MetricColumn declared{column.name, column.unit, column.definition, "", "none", "none"};
    for (const auto& [name, value] : reader.attributes(path)) {
      if (name == "aggregate") declared.aggregate = text_of(value, cat(path, "'s attribute aggregate"));
      if (name == "baseline") declared.baseline = text_of(value, cat(path, "'s attribute baseline"));
      if (name == "gate") declared.gate = text_of(value, cat(path, "'s attribute gate"));
    }
    if (declared.aggregate.empty()) continue;
    metric.columns.push_back(std::move(declared));
    // Files differ in how they hold truth values: as numbers where one is missing, else perhaps not.
    if (const auto* truths = std::get_if<std::vector<Bool>>(&column.values)) column.values = as_numbers(*truths);
  }
  return metric;
}

void add(MetricRows& to, const MetricRows& from) {
  to.table.append(from.table);
  const auto differs = [](const MetricColumn& a, const MetricColumn& b) {
    return a.name != b.name || a.aggregate != b.aggregate || a.baseline != b.baseline || a.gate != b.gate;
  };
  if (!std::equal(to.columns.begin(), to.columns.end(), from.columns.begin(), from.columns.end(),
                  [&](const auto& a, const auto& b) { return !differs(a, b); })) {
    fail(ErrorCode::kInvalidArgument, to.table.name,
         " declares other aggregates, baselines or gates than in the files before");
  }
}

void add(std::vector<MetricRows>& to, std::vector<MetricRows>&& from) {
  for (auto& metric : from) {
    const auto same = std::find_if(to.begin(), to.end(), [&](const auto& m) { return m.id == metric.id; });
    if (same == to.end()) {
      to.push_back(std::move(metric));
    } else {
      add(*same, metric);
    }
  }
}

int rank_of(std::string_view stage) {
  constexpr std::array<std::string_view, 4> kOrder{"base", "edited", "step", "finetuned"};
  return static_cast<int>(std::find(kOrder.begin(), kOrder.end(), stage) - kOrder.begin());
}

std::vector<double> numbers_of(const MetricRows& metric, std::string_view name) {
  const auto& column = metric.table.at(name);
  if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) return *numbers;
  if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    return {whole->begin(), whole->end()};
  }
  if (const auto* truths = std::get_if<std::vector<Bool>>(&column.values)) return as_numbers(*truths);
  fail(ErrorCode::kInvalidArgument, "column ", name, " of metric ", metric.id,
       " holds texts, which have no mean; its metric should declare the aggregate \"none\"");
}

}  // namespace

const MetricColumn* MetricRows::find(std::string_view column) const {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.name == column; });
  return found == columns.end() ? nullptr : &*found;
}

const MetricRows* Measurements::metric(std::string_view id) const {
  const auto found = std::find_if(metrics.begin(), metrics.end(), [&](const auto& m) { return m.id == id; });
  return found == metrics.end() ? nullptr : &*found;
}

std::vector<Primary> primaries_of(const Measurements& measurements) {
  std::vector<Primary> found;
  for (const auto& metric : measurements.metrics) {
    const auto first = [&](const auto& wanted) -> const MetricColumn* {
      const auto at = std::find_if(metric.columns.begin(), metric.columns.end(), wanted);
      return at == metric.columns.end() ? nullptr : &*at;
    };
    const auto* rate = first([](const MetricColumn& c) { return c.aggregate == "rate" && c.baseline != "none"; });
    if (rate == nullptr) continue;
    found.push_back(
        {&metric, rate, first([](const MetricColumn& c) { return c.aggregate == "mean" && c.unit != "1"; })});
  }
  std::stable_partition(found.begin(), found.end(), [](const Primary& p) { return p.continuous != nullptr; });
  return found;
}

Measurements read_measurements(const results::Reader& reader) {
  Measurements out;
  out.cells = reader.table("/cells");
  if (reader.has(kEvaluations)) out.evaluations = reader.table(kEvaluations);
  for (const auto& [group, into] : {std::pair(kMetrics, &out.metrics), std::pair(kTaskScore, &out.task_scores)}) {
    if (!reader.has(group)) continue;
    for (const auto& id : reader.children(group)) into->push_back(read_metric(reader, group, id));
  }
  return out;
}

Measurements read_measurements(std::span<const std::filesystem::path> files) {
  if (files.empty()) fail(ErrorCode::kInvalidArgument, "there are no cell files to summarise");
  Measurements all;
  bool first = true;
  for (const auto& file : files) {
    Measurements one = read_measurements(results::Reader(file));
    if (std::exchange(first, false)) {
      all = std::move(one);
      continue;
    }
    try {
      all.cells.append(one.cells);
      if (all.evaluations.columns.empty()) {
        all.evaluations = std::move(one.evaluations);
      } else if (!one.evaluations.columns.empty()) {
        all.evaluations.append(one.evaluations);
      }
      add(all.metrics, std::move(one.metrics));
      add(all.task_scores, std::move(one.task_scores));
    } catch (const Error& error) {
      rethrow_with_context(error, file.string());
    }
  }
  return all;
}

std::vector<Configuration> configurations_of(const Table& cells) {
  const auto& names = cells.values<std::string>("cell");
  const auto& replicates = cells.values<std::int64_t>("replicate");
  const auto& variants = cells.values<std::string>("variant");
  const auto& unedited = cells.values<Bool>("unedited");
  std::vector<Configuration> found;
  std::map<std::string, std::size_t> place;
  std::map<std::pair<std::string, std::int64_t>, std::size_t> seen;
  for (std::size_t row = 0; row < names.size(); ++row) {
    if (!seen.emplace(std::pair(names[row], replicates[row]), row).second) {
      fail(ErrorCode::kInvalidArgument, cells.name, " has cell ", names[row], " twice; expected each cell once");
    }
    std::string name = names[row];
    const std::string suffix = cat("r", replicates[row]);
    if (name == suffix) {
      name = "default";
    } else if (name.ends_with("," + suffix)) {
      name.resize(name.size() - suffix.size() - 1);
    }
    const auto [at, is_new] = place.emplace(name, found.size());
    if (is_new) {
      Configuration configuration{name, variants[row], {}, bool(unedited[row]), {}};
      for (const auto& column : cells.columns) {
        if (column.name.starts_with("at_")) {
          configuration.swept.push_back(cells.values<std::string>(column.name)[row]);
        }
      }
      found.push_back(std::move(configuration));
    }
    found[at->second].rows.push_back(row);
  }
  return found;
}

std::strong_ordering Point::operator<=>(const Point& other) const {
  return std::tuple(ordinal, rank_of(stage), std::string_view(stage), step) <=>
         std::tuple(other.ordinal, rank_of(other.stage), std::string_view(other.stage), other.step);
}

const Series::Replicated* Series::at(const Point& point) const {
  const auto found = points.find(point);
  return found == points.end() ? nullptr : &found->second;
}

std::optional<Point> Series::base() const {
  if (points.empty() || points.begin()->first.stage != "base") return std::nullopt;
  return points.begin()->first;
}

std::optional<Point> Series::edited(const Point& point) const {
  for (const auto& [candidate, values] : points) {
    if (candidate > point) break;
    if (candidate.stage == "edited") return candidate;
  }
  return std::nullopt;
}

std::optional<Point> reference_of(const Series& series, const Point& point, std::string_view baseline) {
  std::optional<Point> reference;
  if (baseline != "base") reference = series.edited(point);
  if ((!reference || *reference == point) && baseline != "edited") reference = series.base();
  if (reference && *reference == point) reference.reset();
  return reference;
}

double reference_value(const Series::Values& values, const Unit& unit) {
  auto found = values.find(unit);
  if (found == values.end() && !unit.edit.empty()) found = values.find(Unit{"", unit.fact, unit.repeat});
  return found == values.end() ? kNaN : found->second;
}

std::map<SeriesKey, Series> series_of(const MetricRows& metric, std::string_view column, const Table& cells,
                                      const std::vector<Configuration>& configurations) {
  const auto values = numbers_of(metric, column);
  std::map<std::pair<std::string, std::int64_t>, std::size_t> place;
  const auto& cell_names = cells.values<std::string>("cell");
  const auto& cell_replicates = cells.values<std::int64_t>("replicate");
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    for (const auto row : configurations[i].rows) place[{cell_names[row], cell_replicates[row]}] = i;
  }

  const Table& table = metric.table;
  const auto& cell = table.values<std::string>("cell");
  const auto& replicate = table.values<std::int64_t>("replicate");
  const auto& edit = table.values<std::string>("edit");
  const auto& ordinal = table.values<std::int64_t>("ordinal");
  const auto& stage = table.values<std::string>("stage");
  const auto& step = table.values<std::int64_t>("step");
  const auto& fact = table.values<std::string>("fact");
  const auto& role = table.values<std::string>("role");
  std::map<SeriesKey, Series> all;
  for (std::size_t row = 0; row < values.size(); ++row) {
    // In a model with one edit the other edited facts were never written.
    if (!edit[row].empty() && role[row] == "edited" && fact[row] != edit[row]) continue;
    const auto found = place.find({cell[row], replicate[row]});
    if (found == place.end()) {
      fail(ErrorCode::kInvalidArgument, "row ", row, " of ", table.name, " is about cell ", cell[row], " (replicate ",
           replicate[row], "), which ", cells.name, " does not have");
    }
    Series& series = all[{found->second, role[row]}];
    const Point point{ordinal[row], stage[row], stage[row] == "finetuned" ? 0 : step[row]};
    auto [last, is_new] = series.last_step.emplace(point, step[row]);
    if (!is_new) last->second = std::max(last->second, step[row]);
    series.step_of[{point, replicate[row], edit[row]}] = step[row];
    Unit unit{edit[row], fact[row], 0};
    auto& at_point = series.points[point][replicate[row]];
    while (!at_point.emplace(unit, values[row]).second) ++unit.repeat;
  }
  return all;
}

}  // namespace palimpsest::analysis
