// At which validation loss fine-tuned configurations are compared. Training fewer weights learns less and forgets less,
// so freezing is judged at equal validation loss.
//
// A loss is the mean over replicates, in scope `isolated` over the models of each replicate first, as in /cells. Pure
// functions. Safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "analysis/summary_data.hpp"

namespace palimpsest::analysis {

// nat/token; two fine-tunings whose validation losses differ by more are not called equally good.
inline constexpr double kEqualLoss = 0.02;

// Whether the fine-tunings of a and b may change different weights, by `trained_weights` in /cells. Not where one of
// them is without fine-tuning.
bool trains_other_weights(const results::Table& cells, const Configuration& a, const Configuration& b);

// Numbers of the replicates that both have.
std::set<std::int64_t> shared_replicates(const results::Table& cells, const Configuration& a, const Configuration& b);

// After the last fine-tuning, over these replicates. NaN where none was measured.
double final_loss(const results::Table& cells, const Configuration& configuration,
                  const std::set<std::int64_t>& replicates);

// A measuring point on the way of a fine-tuning, with the validation loss there.
struct LossPoint {
  Point point;
  double loss = 0;
};

// Of the measuring points on the way of the fine-tuning that `series` of this configuration ends with, the one whose
// validation loss is nearest to `loss`; of equally near ones the later. Only points at which every model of these
// replicates was measured and evaluated. Nothing where there is none, or the series ends with another stage.
std::optional<LossPoint> nearest_in_loss(const Measurements& measurements, const Configuration& configuration,
                                         const Series& series, const std::set<std::int64_t>& replicates, double loss);

}  // namespace palimpsest::analysis
