#include "analysis/contrasts_loss.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "analysis/contrasts_compare.hpp"

namespace palimpsest::analysis {
namespace {

using results::Bool;
using results::Table;

std::set<std::int64_t> replicates_of(const Table& cells, const Configuration& configuration) {
  const auto& numbers = cells.values<std::int64_t>("replicate");
  std::set<std::int64_t> found;
  for (const auto row : configuration.rows) found.insert(numbers[row]);
  return found;
}

// By step of the fine-tuning `ordinal`; only steps after which every model of these replicates was evaluated.
std::map<std::int64_t, double> losses_by_step(const Measurements& measurements, const Configuration& configuration,
                                              const std::set<std::int64_t>& replicates, std::int64_t ordinal) {
  const Table& table = measurements.evaluations;
  if (table.columns.empty()) return {};
  const auto& names = measurements.cells.values<std::string>("cell");
  const auto& numbers = measurements.cells.values<std::int64_t>("replicate");
  std::set<std::pair<std::string, std::int64_t>> ours;
  for (const auto row : configuration.rows) {
    if (replicates.contains(numbers[row])) ours.emplace(names[row], numbers[row]);
  }

  const auto& cell = table.values<std::string>("cell");
  const auto& replicate = table.values<std::int64_t>("replicate");
  const auto& edit = table.values<std::string>("edit");
  const auto& ordinals = table.values<std::int64_t>("ordinal");
  const auto& step = table.values<std::int64_t>("step");
  const auto& loss = table.values<double>("validation_loss");
  std::map<std::int64_t, std::set<std::string>> models;  // of each replicate, by their isolated edit
  std::map<std::int64_t, std::map<std::int64_t, std::vector<double>>> by_step;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (ordinals[row] != ordinal || !ours.contains({cell[row], replicate[row]})) continue;
    models[replicate[row]].insert(edit[row]);
    by_step[step[row]][replicate[row]].push_back(loss[row]);
  }

  std::map<std::int64_t, double> means;
  for (const auto& [at, of_replicates] : by_step) {
    bool whole = of_replicates.size() == replicates.size();
    std::vector<double> losses;
    for (const auto& [number, of_models] : of_replicates) {
      whole = whole && of_models.size() == models[number].size();
      losses.push_back(mean_of(of_models));
    }
    if (whole) means[at] = mean_of(losses);
  }
  return means;
}

// Whether all that was measured at `last` was measured here, in each of these replicates.
bool is_whole(const Series::Replicated& here, const Series::Replicated& last,
              const std::set<std::int64_t>& replicates) {
  return std::all_of(replicates.begin(), replicates.end(), [&](std::int64_t replicate) {
    const auto found = here.find(replicate);
    const auto wanted = last.find(replicate);
    return found != here.end() && wanted != last.end() && found->second.size() == wanted->second.size();
  });
}

}  // namespace

bool trains_other_weights(const Table& cells, const Configuration& a, const Configuration& b) {
  const auto& tuned = cells.values<Bool>("tuned");
  const std::size_t row_a = a.rows.front();
  const std::size_t row_b = b.rows.front();
  if (!tuned[row_a] || !tuned[row_b]) return false;
  if (row_a == row_b) return false;
  const auto& trained = cells.values<std::string>("trained_weights");
  return trained[row_a] != trained[row_b];
}

std::set<std::int64_t> shared_replicates(const Table& cells, const Configuration& a, const Configuration& b) {
  const auto of_a = replicates_of(cells, a);
  const auto of_b = replicates_of(cells, b);
  std::set<std::int64_t> shared;
  std::set_intersection(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(), std::inserter(shared, shared.end()));
  return shared;
}

double final_loss(const Table& cells, const Configuration& configuration, const std::set<std::int64_t>& replicates) {
  const auto& numbers = cells.values<std::int64_t>("replicate");
  const auto& after = cells.values<double>("validation_loss_after");
  std::vector<double> losses;
  for (const auto row : configuration.rows) {
    if (replicates.contains(numbers[row]) && !std::isnan(after[row])) losses.push_back(after[row]);
  }
  return mean_of(losses);
}

std::optional<LossPoint> nearest_in_loss(const Measurements& measurements, const Configuration& configuration,
                                         const Series& series, const std::set<std::int64_t>& replicates, double loss) {
  if (series.empty()) return std::nullopt;
  const auto& [last, at_last] = *series.points.rbegin();
  if (last.stage != "finetuned") return std::nullopt;
  const auto losses = losses_by_step(measurements, configuration, replicates, last.ordinal);
  std::optional<LossPoint> nearest;
  for (const auto& [point, here] : series.points) {
    if (point.ordinal != last.ordinal || point.stage != "step") continue;
    const auto found = losses.find(point.step);
    if (found == losses.end() || !is_whole(here, at_last, replicates)) continue;
    if (!nearest || std::fabs(found->second - loss) <= std::fabs(nearest->loss - loss)) {
      nearest = LossPoint{point, found->second};
    }
  }
  return nearest;
}

}  // namespace palimpsest::analysis
