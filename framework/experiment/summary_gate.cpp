// The quality gate (docs/decisions/0003): whether the model was edited well enough for its retention to mean something.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "experiment/summary.hpp"

namespace palimpsest::experiment {
namespace {

using results::Table;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

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

// A column that declares a role in the gate, as it stands in every cell.
class Candidate {
 public:
  Candidate(const MetricRows& rows, const MetricColumn& column, const Measurements& measurements,
            const std::vector<Configuration>& configurations)
      : source(rows.id + "." + column.name),
        series_(series_of(rows, column.name, measurements.cells, configurations)) {}

  std::string source;  // plugin and column

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

// In the order of the configuration's metrics, the task's score last.
std::vector<Candidate> candidates(const Measurements& measurements, const std::vector<Configuration>& configurations,
                                  std::string_view gate) {
  std::vector<Candidate> found;
  for (const auto* list : {&measurements.metrics, &measurements.task_scores}) {
    for (const auto& rows : *list) {
      for (const auto& column : rows.columns) {
        if (column.gate == gate) found.emplace_back(rows, column, measurements, configurations);
      }
    }
  }
  return found;
}

// What the gate judges in one cell, and where it was read; NaN and "" where no candidate has values.
struct Judged {
  double value = kNaN;
  std::string source;
};

template <typename Value>
Judged first_measured(const std::vector<Candidate>& candidates, std::size_t configuration, const std::string& role,
                      std::int64_t replicate, const Value& value_of) {
  for (const auto& candidate : candidates) {
    const double value = value_of(candidate.of(configuration, role, replicate));
    if (!std::isnan(value)) return {value, candidate.source};
  }
  return {};
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
       {"efficacy_source", "", "plugin and column that the efficacy was read from", Texts()},
       {"neighbourhood_loss", "1",
        "share of the prompts about other subjects that are answered as they should, of the unedited model minus that "
        "of the edited one",
        Reals()},
       {"neighbourhood_source", "", "plugin and column that the neighbourhood loss was read from", Texts()},
       {"perplexity_rise", "1", "perplexity of the edited model divided by that of the unedited one, minus 1", Reals()},
       {"perplexity_source", "", "plugin and column that the perplexities were read from", Texts()},
       {"passed", "", "no measured value is beyond its limit (0.9, 0.15, 0.05)", std::vector<results::Bool>()},
       {"reason", "", "the values beyond their limits, and what was not measured", Texts()}}};
  const auto configurations = configurations_of(measurements.cells);
  const auto& names = measurements.cells.values<std::string>("cell");
  const auto& replicates = measurements.cells.values<std::int64_t>("replicate");
  const auto& editors = measurements.cells.values<std::string>("editor");
  const auto efficacies = candidates(measurements, configurations, "efficacy");
  const auto neighbourhoods = candidates(measurements, configurations, "neighbourhood");
  const auto perplexities = candidates(measurements, configurations, "perplexity");

  for (std::size_t i = 0; i < configurations.size(); ++i) {
    const auto& configuration = configurations[i];
    for (const auto row : configuration.rows) {
      const auto replicate = replicates[row];
      const auto [efficacy, efficacy_source] =
          first_measured(efficacies, i, "edited", replicate, [](BeforeAfter mean) { return mean.edited; });
      const auto [loss, loss_source] = first_measured(neighbourhoods, i, "edited", replicate,
                                                      [](BeforeAfter mean) { return mean.base - mean.edited; });
      const auto [rise, rise_source] =
          first_measured(perplexities, i, "", replicate, [](BeforeAfter mean) { return mean.edited / mean.base - 1; });

      std::string failed;
      std::string unknown;
      if (std::isnan(efficacy)) {
        add(unknown, "efficacy not measured");
      } else if (efficacy < kLeastEfficacy && !configuration.unedited) {
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
      if (configuration.unedited) add(reason, "unedited control: efficacy is not judged");
      if (!unknown.empty()) add(reason, unknown);
      table.append_row({configuration.name, names[row], replicate, editors[row], efficacy, efficacy_source, loss,
                        loss_source, rise, rise_source, failed.empty(), reason});
    }
  }
  return table;
}

}  // namespace palimpsest::experiment
