#include "analysis/summary.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "analysis/statistics.hpp"
#include "base/error.hpp"

namespace palimpsest::analysis {
namespace {

using results::Table;
using results::Value;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
using Reals = std::vector<double>;
using Whole = std::vector<std::int64_t>;
using Texts = std::vector<std::string>;

// What is computed against one reference.
struct Baseline {
  Interval retention, net_ratio;
  double area = kNaN, first_forgotten = kNaN;
  std::int64_t held = 0, regained = 0, forgotten = 0;
};

void add_baseline_columns(Table& table, const std::string& which, const std::string& reference) {
  const auto add = [&](const std::string& name, const char* unit, const std::string& definition, auto values) {
    table.columns.push_back({name + which, unit, definition, std::move(values)});
  };
  add("n_held_", "row", cat("rows that succeed at the reference, ", reference, ", and are not missing later"), Whole());
  add("retention_", "1", cat("share of the rows that succeed at the reference, ", reference, ", that still succeed"),
      Reals());
  add("retention_low_", "1", "lower end of the 95 % interval of the retention", Reals());
  add("retention_high_", "1", "upper end of the 95 % interval of the retention", Reals());
  add("net_ratio_", "1", cat("rows that succeed, divided by rows that succeed at the reference, ", reference), Reals());
  add("net_ratio_low_", "1", "lower end of the 95 % interval of the net ratio", Reals());
  add("net_ratio_high_", "1", "upper end of the 95 % interval of the net ratio", Reals());
  add("regained_", "row", cat("rows that succeed and did not at the reference, ", reference), Whole());
  add("area_", "1",
      cat("mean height of the retention curve over the steps of this fine-tuning (trapezoids), from the model that "
          "it starts from; a model that stopped earlier stays as it was, and between its own "
          "measurements it lies on the line; reference: ",
          reference, "; NaN but at the last point of a fine-tuning"),
      Reals());
  add("forgotten_", "row",
      cat("rows that succeed at the reference, ", reference,
          ", and fail at one measured step of this fine-tuning at least; 0 but at its last point"),
      Whole());
  add("first_forgotten_", "optimiser step",
      "first measured step by which half of the rows that succeed at the reference had failed once; NaN where that "
      "never came, and but at the last point of a fine-tuning",
      Reals());
}

Table empty_summary() {
  Table table{
      "/summary",
      "one column of one metric at one measuring point, over the facts of one role and the replicates of one "
      "configuration",
      {{"configuration", "", "the cell's name without its replicate", Texts()},
       {"variant", "", "the variant's name; empty without variants", Texts()},
       {"role", "", "edited or intrinsic; empty for rows about no fact", Texts()},
       {"metric", "", "id of the metric", Texts()},
       {"outcome", "", "column of the table /metrics/<metric>", Texts()},
       {"outcome_unit", "", "unit of that column", Texts()},
       {"aggregate", "", "as the metric declares it: mean or rate", Texts()},
       {"baseline", "", "as the metric declares it: none, base, edited or both", Texts()},
       {"ordinal", "", "place of the stage in the cell's list; 0 is the unedited model", Whole()},
       {"stage", "", "base, edited, step or finetuned", Texts()},
       {"step", "optimiser step", "step of fine-tuning; at finetuned the largest among the replicates", Whole()},
       {"n_rows", "row", "values in the mean: one per fact and replicate, and per edit in scope isolated", Whole()},
       {"n_facts", "fact", "different facts among them", Whole()},
       {"n_replicates", "replicate", "replicates with at least one value", Whole()},
       {"n_missing", "row", "rows left out because their value is missing", Whole()},
       {"interval_levels", "",
        "what the intervals' bootstrap draws: replicates and facts, or facts only (one replicate); empty where "
        "there is none. Of a share of 0 or 1 the interval is the exact one of that many different facts",
        Texts()},
       {"mean", "that of outcome_unit", "mean of the outcome, for a rate the share of successes", Reals()},
       {"mean_low", "that of outcome_unit", "lower end of the 95 % interval of the mean", Reals()},
       {"mean_high", "that of outcome_unit", "upper end of the 95 % interval of the mean", Reals()}}};
  add_baseline_columns(table, "base", "the unedited model");
  add_baseline_columns(table, "edited", "the first stage `edited`");
  return table;
}

// Each fact's values, one for each model: the mean of a metric's rows about it there.
struct FactMeans {
  Replicates values;
  std::set<std::string> facts;
  std::int64_t rows = 0;     // models and facts with a value
  std::int64_t missing = 0;  // rows without one
};

FactMeans fact_means(const Series::Replicated& replicated) {
  FactMeans out;
  for (const auto& [replicate, values] : replicated) {
    std::map<std::string, Mean> by_subject;
    Mean of_unit;
    for (auto at = values.begin(); at != values.end();) {
      const Unit& unit = at->first;
      out.missing += std::isnan(at->second);
      of_unit.add(at->second);
      const auto next = std::next(at);
      if (next == values.end() || next->first.edit != unit.edit || next->first.fact != unit.fact) {
        if (of_unit.n > 0) {
          by_subject[unit.subject()].add(of_unit.value());
          ++out.rows;
          if (!unit.fact.empty()) out.facts.insert(unit.fact);
        }
        of_unit = {};
      }
      at = next;
    }
    auto& list = out.values.emplace_back();
    for (const auto& [subject, mean] : by_subject) list.push_back(mean);
  }
  return out;
}

OutcomeReplicates outcomes_between(const Series::Replicated& reference, const Series::Replicated& later) {
  OutcomeReplicates out;
  for (const auto& [replicate, values] : later) {
    auto& list = out.emplace_back();
    const auto found = reference.find(replicate);
    if (found == reference.end()) continue;
    std::map<std::string, Tally> by_subject;
    for (const auto& [unit, value] : values) {
      by_subject[unit.subject()].add(reference_value(found->second, unit), value);
    }
    for (const auto& [subject, tally] : by_subject) list.push_back(tally);
  }
  return out;
}

// Different facts that hold at the reference and are not missing later; of rows about none, the models.
std::int64_t held_facts(const Series::Replicated& reference, const Series::Replicated& later) {
  std::set<std::string> facts;
  for (const auto& [replicate, values] : later) {
    const auto found = reference.find(replicate);
    if (found == reference.end()) continue;
    for (const auto& [unit, value] : values) {
      const double held = reference_value(found->second, unit);
      if (held == 0 || std::isnan(held) || std::isnan(value)) continue;
      facts.insert(unit.fact.empty() ? cat(replicate, ' ', unit.edit) : unit.fact);
    }
  }
  return static_cast<std::int64_t>(facts.size());
}

// The points of one fine-tuning with their steps, in order; the model that entered it is the first where step 0 was not
// measured.
using Curve = std::vector<std::pair<std::int64_t, Point>>;

Curve curve_of(const Series& series, std::int64_t ordinal) {
  Curve curve;
  const Point* before = nullptr;
  for (const auto& [point, values] : series.points) {
    if (point.ordinal < ordinal) {
      before = &point;
    } else if (point.ordinal == ordinal) {
      const std::int64_t step = series.last_step.at(point);
      if (curve.empty() && step > 0 && before != nullptr) curve.emplace_back(0, *before);
      // The last step and `finetuned` are one model, and `finetuned` is there of cells that stopped earlier too.
      if (!curve.empty() && step == curve.back().first) curve.pop_back();
      curve.emplace_back(step, point);
    }
  }
  return curve;
}

// One row in the course of a fine-tuning, by step: 1 for a success, 0, or NaN where it is missing.
using Course = std::map<std::int64_t, double>;

// The courses of the rows of one replicate, each at its own model's steps: the last one is where that model stopped. A
// model from before the edits is the beginning of each edit's.
std::map<Unit, Course> courses_of(const Series& series, const Curve& curve, std::int64_t replicate) {
  std::map<Unit, Course> courses;
  for (const auto& [step, point] : curve) {
    const auto& replicated = *series.at(point);
    const auto found = replicated.find(replicate);
    if (found == replicated.end()) continue;
    for (const auto& [unit, value] : found->second) {
      const std::int64_t own = step == 0 ? 0 : series.step_of.at({point, replicate, unit.edit});
      courses[unit][own] = std::isnan(value) ? kNaN : value != 0;
    }
  }
  if (courses.empty() || courses.rbegin()->first.edit.empty()) return courses;
  for (auto& [unit, course] : courses) {
    const auto shared = courses.find({"", unit.fact, unit.repeat});
    if (!unit.edit.empty() && shared != courses.end()) course.insert(shared->second.begin(), shared->second.end());
  }
  std::erase_if(courses, [](const auto& one) { return one.first.edit.empty(); });
  return courses;
}

// The value on the straight line between the steps at which the row was measured; after the last of them, where its
// model stopped, as it was there. NaN before the first, and between a value and a missing one.
double value_at(const Course& course, std::int64_t step) {
  const auto next = course.lower_bound(step);
  if (next == course.end()) return course.rbegin()->second;
  if (next->first == step) return next->second;
  if (next == course.begin()) return kNaN;
  const auto last = std::prev(next);
  const double way = static_cast<double>(step - last->first) / static_cast<double>(next->first - last->first);
  return last->second + way * (next->second - last->second);
}

// The mean height of the retention curve. Models are measured at steps of their own where they stop by themselves, so
// the curve's height at a step is that of all models there, on their own lines.
double area_of(const std::vector<Course>& courses) {
  std::set<std::int64_t> measured;
  for (const auto& course : courses) {
    for (const auto& [step, value] : course) measured.insert(step);
  }
  const std::vector<std::int64_t> steps(measured.begin(), measured.end());
  std::vector<double> retained;
  for (const auto step : steps) {
    Mean now;  // leaves out what is missing
    for (const auto& course : courses) now.add(value_at(course, step));
    retained.push_back(now.value());
  }
  return curve_area(steps, retained);
}

void add_curve(const Series& series, const Point& reference, std::int64_t ordinal, Baseline& out) {
  const auto curve = curve_of(series, ordinal);
  std::vector<Course> held;  // of the rows that succeed at the reference
  for (const auto& [replicate, values] : *series.at(reference)) {
    for (auto& [unit, course] : courses_of(series, curve, replicate)) {
      const double before = reference_value(values, unit);
      if (before != 0 && !std::isnan(before)) held.push_back(std::move(course));
    }
  }
  out.area = area_of(held);

  // Each row's own first step; those that never fail count as later than all others.
  std::vector<std::int64_t> firsts;
  for (const auto& course : held) {
    const auto failed = std::find_if(course.begin(), course.end(), [](const auto& at) { return at.second == 0; });
    if (failed != course.end()) firsts.push_back(failed->first);
  }
  out.forgotten = static_cast<std::int64_t>(firsts.size());
  std::sort(firsts.begin(), firsts.end());
  const std::size_t half = (held.size() + 1) / 2;
  if (half > 0 && firsts.size() >= half) out.first_forgotten = static_cast<double>(firsts[half - 1]);
}

// mean_interval, without drawing where every draw gives the same: most rates early and late are 0 or 1.
Interval interval_of(const FactMeans& means, bool rate, const BootstrapOptions& options) {
  Interval constant;
  std::optional<double> value;
  for (const auto& replicate : means.values) {
    if (!replicate.empty()) ++constant.replicates;
    for (const auto& fact : replicate) {
      if (value && *value != fact.value()) return mean_interval(means.values, options);
      value = fact.value();
      ++constant.facts;
    }
  }
  constant.facts_only = constant.replicates == 1;
  constant.estimate = constant.low = constant.high = value.value_or(kNaN);
  if (rate && value && (*value == 0 || *value == 1)) {
    const auto facts = means.facts.empty() ? constant.facts : static_cast<std::int64_t>(means.facts.size());
    const auto exact = all_or_none_interval(*value == 1, facts, options.confidence);
    constant.low = exact.low;
    constant.high = exact.high;
  }
  return constant;
}

Baseline against(const Series& series, const Point& point, const std::optional<Point>& reference,
                 bool ends_a_finetuning, const BootstrapOptions& options) {
  Baseline out;
  out.retention.estimate = out.retention.low = out.retention.high = kNaN;
  out.net_ratio = out.retention;
  if (!reference || *reference > point) return out;
  const auto& at_reference = *series.at(*reference);
  const auto& later = *series.at(point);
  const auto outcomes = outcomes_between(at_reference, later);
  const auto counted = total_of(outcomes);
  out.held = counted.held;
  out.regained = counted.later - counted.both;
  out.retention = shown_retention_interval(outcomes, held_facts(at_reference, later), options);
  // Where nothing came back, the two ratios are the same one, in every resample too.
  out.net_ratio = out.retention;
  if (out.regained > 0) {
    out.net_ratio = net_ratio_interval(outcomes, options);
    if (!varies(outcomes)) out.net_ratio.low = out.net_ratio.high = kNaN;
  }
  if (ends_a_finetuning) add_curve(series, *reference, point.ordinal, out);
  return out;
}

void append(std::vector<Value>& row, const Baseline& baseline) {
  row.insert(row.end(), {baseline.held, baseline.retention.estimate, baseline.retention.low, baseline.retention.high,
                         baseline.net_ratio.estimate, baseline.net_ratio.low, baseline.net_ratio.high,
                         baseline.regained, baseline.area, baseline.forgotten, baseline.first_forgotten});
}

bool is_last_of_finetuning(const Series& series, const Point& point) {
  if (point.stage != "step" && point.stage != "finetuned") return false;
  const auto next = std::next(series.points.find(point));
  return next == series.points.end() || next->first.ordinal != point.ordinal;
}

}  // namespace

Table summarise(const Measurements& measurements, const SummaryOptions& options) {
  const auto configurations = configurations_of(measurements.cells);
  Table table = empty_summary();
  const BootstrapOptions bootstrap{options.seed, "summary", options.resamples, 0.95};
  for (const auto& metric : measurements.metrics) {
    for (const auto& column : metric.columns) {
      if (column.aggregate == "none") continue;
      if (column.aggregate != "mean" && column.aggregate != "rate") {
        fail(ErrorCode::kInvalidArgument, "column ", column.name, " of metric ", metric.id,
             " declares the aggregate \"", column.aggregate, "\"; expected none, mean or rate");
      }
      const bool rate = column.aggregate == "rate";
      const bool base = rate && (column.baseline == "base" || column.baseline == "both");
      const bool edited = rate && (column.baseline == "edited" || column.baseline == "both");
      for (const auto& [key, series] : series_of(metric, column.name, measurements.cells, configurations)) {
        const auto& configuration = configurations[key.first];
        for (const auto& [point, replicated] : series.points) {
          const auto means = fact_means(replicated);
          auto mean = interval_of(means, rate, bootstrap);
          if (mean.facts < 2 && mean.low == mean.high) mean.low = mean.high = kNaN;
          const bool last = is_last_of_finetuning(series, point);
          std::vector<Value> row{configuration.name,
                                 configuration.variant,
                                 key.second,
                                 metric.id,
                                 column.name,
                                 column.unit,
                                 column.aggregate,
                                 column.baseline,
                                 point.ordinal,
                                 point.stage,
                                 series.last_step.at(point),
                                 means.rows,
                                 means.facts.size(),
                                 mean.replicates,
                                 means.missing,
                                 std::isnan(mean.low) ? "" : mean.levels(),
                                 mean.estimate,
                                 mean.low,
                                 mean.high};
          append(row, against(series, point, base ? series.base() : std::nullopt, last, bootstrap));
          append(row, against(series, point, edited ? series.edited(point) : std::nullopt, last, bootstrap));
          table.append_row(row);
        }
      }
    }
  }
  return table;
}

}  // namespace palimpsest::analysis
