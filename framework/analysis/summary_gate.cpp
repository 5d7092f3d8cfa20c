// The quality gate (docs/decisions/0003): whether the model was edited well enough for its retention to mean something.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "analysis/statistics.hpp"
#include "analysis/summary.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest::analysis {
namespace {

using results::Table;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The gate's limits are shares of a few prompts, which binary fractions miss by a bit.
constexpr double kRounding = 1e-9;

// Means of one replicate of one series: of the model that the first edit is made in, and after it.
struct BeforeAfter {
  double before = kNaN, edited = kNaN;
};

double mean_at(const Series& series, const std::optional<Point>& point, std::int64_t replicate) {
  if (!point) return kNaN;
  const auto* replicated = series.at(*point);
  const auto found = replicated->find(replicate);
  Mean mean;
  if (found != replicated->end()) {
    for (const auto& [unit, value] : found->second) mean.add(value);
  }
  return mean.value();
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
    const auto edited = series.edited(series.points.rbegin()->first);
    std::optional<Point> before = series.base();
    if (edited) {
      const auto at = series.points.find(*edited);
      before = at == series.points.begin() ? std::nullopt : std::optional(std::prev(at)->first);
    }
    return {mean_at(series, before, replicate), mean_at(series, edited, replicate)};
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

// CounterFact's S of one metric: the harmonic mean of the means of its columns from the one that declares an efficacy
// to the one that declares a neighbourhood, as they stand in every cell.
class Score {
 public:
  // Nothing unless the metric declares both, in this order.
  static std::optional<Score> of(const MetricRows& rows, const Measurements& measurements,
                                 const std::vector<Configuration>& configurations) {
    const auto declares = [](std::string_view gate) {
      return [gate](const MetricColumn& column) { return column.gate == gate; };
    };
    const auto begin = std::find_if(rows.columns.begin(), rows.columns.end(), declares("efficacy"));
    const auto end = std::find_if(begin, rows.columns.end(), declares("neighbourhood"));
    if (end == rows.columns.end()) return std::nullopt;
    Score score;
    for (auto column = begin; column <= end; ++column) {
      if (column->aggregate == "none") continue;
      score.parts_.emplace_back(rows, *column, measurements, configurations);
      score.source += cat(score.source.empty() ? "" : ", ", score.parts_.back().source);
    }
    return score;
  }

  std::string source;  // plugin and column of each part

  // NaN where a part has no values.
  double at(std::size_t configuration, std::int64_t replicate) const {
    std::vector<double> means;
    for (const auto& part : parts_) means.push_back(part.of(configuration, "edited", replicate).edited);
    return harmonic_mean(means);
  }

 private:
  std::vector<Candidate> parts_;
};

std::vector<Score> scores(const Measurements& measurements, const std::vector<Configuration>& configurations) {
  std::vector<Score> found;
  for (const auto& rows : measurements.metrics) {
    if (auto score = Score::of(rows, measurements, configurations)) found.push_back(std::move(*score));
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
        "share of the prompts about other subjects that are answered as they should, of the model before the edit "
        "minus that of the edited one",
        Reals()},
       {"neighbourhood_source", "", "plugin and column that the neighbourhood loss was read from", Texts()},
       {"perplexity_rise", "1", "perplexity of the edited model divided by that before the edit, minus 1", Reals()},
       {"perplexity_source", "", "plugin and column that the perplexities were read from", Texts()},
       {"edit_score", "1",
        "S: harmonic mean of the means, over the edited facts at the first stage `edited`, of a metric's summarised "
        "columns from the one that declares an efficacy to the one that declares a neighbourhood; NaN where one has no "
        "values",
        Reals()},
       {"edit_score_source", "", "plugin and column of each of these means", Texts()},
       {"passed", "", "no measured value is beyond its limit (0.9, 0.15, 0.05)", std::vector<results::Bool>()},
       {"reason", "", "the values beyond their limits, and what was not measured", Texts()}}};
  const auto configurations = configurations_of(measurements.cells);
  const auto& names = measurements.cells.values<std::string>("cell");
  const auto& replicates = measurements.cells.values<std::int64_t>("replicate");
  const auto& editors = measurements.cells.values<std::string>("editor");
  const auto efficacies = candidates(measurements, configurations, "efficacy");
  const auto neighbourhoods = candidates(measurements, configurations, "neighbourhood");
  const auto perplexities = candidates(measurements, configurations, "perplexity");
  const auto all_scores = scores(measurements, configurations);

  for (std::size_t i = 0; i < configurations.size(); ++i) {
    const auto& configuration = configurations[i];
    for (const auto row : configuration.rows) {
      const auto replicate = replicates[row];
      const auto [efficacy, efficacy_source] =
          first_measured(efficacies, i, "edited", replicate, [](BeforeAfter mean) { return mean.edited; });
      const auto [loss, loss_source] = first_measured(neighbourhoods, i, "edited", replicate,
                                                      [](BeforeAfter mean) { return mean.before - mean.edited; });
      const auto [rise, rise_source] = first_measured(perplexities, i, "", replicate,
                                                      [](BeforeAfter mean) { return mean.edited / mean.before - 1; });

      Judged score;
      for (auto one = all_scores.begin(); one != all_scores.end() && std::isnan(score.value); ++one) {
        score.value = one->at(i, replicate);
        if (!std::isnan(score.value)) score.source = one->source;
      }

      std::string failed;
      std::string unknown;
      if (std::isnan(efficacy)) {
        add(unknown, "efficacy not measured");
      } else if (efficacy < kLeastEfficacy - kRounding && !configuration.unedited) {
        add(failed, "efficacy " + number_text("%.2f", efficacy) + " is below 0.90");
      }
      if (std::isnan(loss)) {
        add(unknown, "neighbourhood loss not measured");
      } else if (loss > kLargestNeighbourhoodLoss + kRounding) {
        add(failed, "neighbourhood loss " + number_text("%.2f", loss) + " is above 0.15");
      }
      if (std::isnan(rise)) {
        add(unknown, "perplexity not measured");
      } else if (rise > kLargestPerplexityRise + kRounding) {
        add(failed, "perplexity rose by " + number_text("%.2f", 100 * rise) + " %, more than 5 %");
      }
      std::string reason = failed;
      if (configuration.unedited) add(reason, "unedited control: efficacy is not judged");
      if (!unknown.empty()) add(reason, unknown);
      table.append_row({configuration.name, names[row], replicate, editors[row], efficacy, efficacy_source, loss,
                        loss_source, rise, rise_source, score.value, score.source, failed.empty(), reason});
    }
  }
  return table;
}

}  // namespace palimpsest::analysis
