// The quality gate of SCIENCE section 2: whether the model was edited well enough for its retention to mean something.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "experiment/summary.hpp"

namespace palimpsest::experiment {
namespace {

using results::Table;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// SCIENCE section 1: the control that no editor changed, which has no edit to judge.
constexpr std::string_view kUnedited = "none";

// Means of one replicate of one series at its reference points.
struct BeforeAfter {
  double base = kNaN, edited = kNaN;
};

double mean(const Series::Values& values) {
  double sum = 0;
  std::int64_t n = 0;
  for (const auto& [unit, value] : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++n;
  }
  return n == 0 ? kNaN : sum / static_cast<double>(n);
}

double mean_at(const Series& series, const std::optional<Point>& point, std::int64_t replicate) {
  if (!point) return kNaN;
  const auto* replicated = series.at(*point);
  const auto found = replicated->find(replicate);
  return found == replicated->end() ? kNaN : mean(found->second);
}

// All that one metric's column says, by configuration and role; empty where it is not there.
class Reading {
 public:
  Reading(const Measurements& measurements, const std::vector<Configuration>& configurations, std::string_view metric,
          std::string_view column) {
    const auto* rows = measurements.metric(metric);
    if (rows != nullptr && rows->find(column) != nullptr) {
      series_ = series_of(*rows, column, measurements.cells, configurations);
    }
  }

  BeforeAfter of(std::size_t configuration, const std::string& role, std::int64_t replicate) const {
    const auto found = series_.find({configuration, role});
    if (found == series_.end()) return {};
    const Series& series = found->second;
    const auto last = series.points.rbegin()->first;
    return {mean_at(series, series.base(), replicate), mean_at(series, series.edited(last), replicate)};
  }

 private:
  std::map<SeriesKey, Series> series_;
};

// The task's own perplexity, where the task's score has such a column and was taken at both points.
BeforeAfter task_perplexity(const Measurements& measurements, const std::string& cell, std::int64_t replicate) {
  BeforeAfter out;
  if (!measurements.task_score) return out;
  const Table& table = *measurements.task_score;
  const auto* column = table.find("perplexity");
  if (column == nullptr || !std::holds_alternative<std::vector<double>>(column->values)) return out;
  const auto& values = std::get<std::vector<double>>(column->values);
  const auto& cells = table.values<std::string>("cell");
  const auto& replicates = table.values<std::int64_t>("replicate");
  const auto& stages = table.values<std::string>("stage");
  double sum = 0;
  std::int64_t n = 0;
  for (std::size_t row = 0; row < values.size(); ++row) {
    if (cells[row] != cell || replicates[row] != replicate || std::isnan(values[row])) continue;
    if (stages[row] == "base" && std::isnan(out.base)) out.base = values[row];
    if (stages[row] != "edited") continue;
    sum += values[row];
    ++n;
  }
  if (n > 0) out.edited = sum / static_cast<double>(n);
  return out;
}

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

void add(std::string& to, const std::string& sentence) {
  if (!to.empty()) to += "; ";
  to += sentence;
}

}  // namespace

Table quality_gate(const Measurements& measurements) {
  using Texts = std::vector<std::string>;
  using Reals = std::vector<double>;
  Table table{
      "/quality_gate",
      "one cell: whether its edits worked and left the rest alone",
      {{"configuration", "", "the cell's name without its replicate", Texts()},
       {"cell", "", "the cell's name", Texts()},
       {"replicate", "", "number of the replicate", std::vector<std::int64_t>()},
       {"editor", "", "id of the editor", Texts()},
       {"efficacy", "1", "share of the edited facts whose edit succeeded, at the first stage `edited`", Reals()},
       {"efficacy_source", "", "metric and column that the efficacy was read from", Texts()},
       {"neighbourhood_loss", "1", "mean neighbourhood_success of the unedited model minus that of the edited one",
        Reals()},
       {"perplexity_rise", "1", "perplexity of the edited model divided by that of the unedited one, minus 1", Reals()},
       {"perplexity_source", "", "where the perplexities were read from", Texts()},
       {"passed", "", "no measured value is beyond its limit (0.9, 0.15, 0.05)", std::vector<results::Bool>()},
       {"reason", "", "the values beyond their limits, and what was not measured", Texts()}}};
  const auto configurations = configurations_of(measurements.cells);
  const auto& names = measurements.cells.values<std::string>("cell");
  const auto& replicates = measurements.cells.values<std::int64_t>("replicate");

  struct Source {
    std::string name;
    Reading reading;
  };
  std::vector<Source> efficacies;
  for (const auto& [metric, column] : {std::pair("edit_success", "efficacy"), std::pair("edit_success", "exact_match"),
                                       std::pair("retention", "all_top1")}) {
    efficacies.push_back({std::string(metric) + "." + column, {measurements, configurations, metric, column}});
  }
  const Reading neighbourhood(measurements, configurations, "edit_success", "neighbourhood_success");
  const Reading perplexity(measurements, configurations, "perplexity", "perplexity");

  for (std::size_t i = 0; i < configurations.size(); ++i) {
    const auto& configuration = configurations[i];
    const bool unedited = configuration.editor.empty() || configuration.editor == kUnedited;
    for (const auto row : configuration.rows) {
      const auto replicate = replicates[row];
      double efficacy = kNaN;
      std::string efficacy_source;
      for (const auto& source : efficacies) {
        if (!std::isnan(efficacy)) break;
        efficacy = source.reading.of(i, "edited", replicate).edited;
        if (!std::isnan(efficacy)) efficacy_source = source.name;
      }
      const auto near = neighbourhood.of(i, "edited", replicate);
      const double loss = near.base - near.edited;
      auto confusion = perplexity.of(i, "", replicate);
      std::string perplexity_source = "perplexity.perplexity";
      if (std::isnan(confusion.base) || std::isnan(confusion.edited)) {
        confusion = task_perplexity(measurements, names[row], replicate);
        perplexity_source = "task_score.perplexity";
      }
      const double rise = confusion.edited / confusion.base - 1;
      if (std::isnan(rise)) perplexity_source.clear();

      std::string failed;
      std::string unknown;
      if (std::isnan(efficacy)) {
        add(unknown, "efficacy not measured");
      } else if (efficacy < kLeastEfficacy && !unedited) {
        add(failed, "efficacy " + text_of(efficacy) + " is below 0.90");
      }
      if (std::isnan(loss)) {
        add(unknown, "neighbourhood loss not measured");
      } else if (loss > kLargestNeighbourhoodLoss) {
        add(failed, "neighbourhood loss " + text_of(loss) + " is above 0.15");
      }
      if (std::isnan(rise)) {
        add(unknown, "perplexity not measured");
      } else if (rise > kLargestPerplexityRise) {
        add(failed, "perplexity rose by " + text_of(100 * rise) + " %, more than 5 %");
      }
      std::string reason = failed;
      if (unedited) add(reason, "unedited control: efficacy is not judged");
      if (!unknown.empty()) add(reason, unknown);
      table.append_row({configuration.name, names[row], replicate, configuration.editor, efficacy, efficacy_source,
                        loss, rise, perplexity_source, failed.empty(), reason});
    }
  }
  return table;
}

}  // namespace palimpsest::experiment
