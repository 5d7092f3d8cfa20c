// /summary and /quality_gate: what the metrics' rows say, by the metrics' own declarations and by nothing else.
//
// Pure functions of their input: equal rows and options give equal tables. Safe from any thread.
#pragma once

#include <cstdint>

#include "analysis/summary_data.hpp"
#include "results/table.hpp"

namespace palimpsest::analysis {

struct SummaryOptions {
  std::uint64_t seed = 0;
  int resamples = 2000;            // of the bootstrap behind each interval of /summary
  int contrast_resamples = 10000;  // behind each interval of /contrasts
  int permutations = 10000;        // drawn where the exact count is too long
};

// /summary: one row per configuration, role, metric, column declared `mean` or `rate`, and measuring point.
// docs/results-format.md defines the columns. Throws Error(kInvalidArgument) for rows that contradict /cells.
results::Table summarise(const Measurements& measurements, const SummaryOptions& options = {});

// /retention_by_margin: one row per configuration, role and range of the margin at the reference (the first stage
// `edited`, else the unedited model), over the facts that succeed there: what is left of them at the last measuring
// point. Of every metric with a primary continuous outcome in nat, which is the margin.
results::Table retention_by_margin(const Measurements& measurements, const SummaryOptions& options = {});

// /quality_gate: one row per cell. Efficacy below 0.9, a loss of more than 0.15 in the neighbourhood score, or a
// perplexity up by more than 5 % fail; what was not measured fails nothing and is said. Beside them the score S of the
// edits, which fails nothing.
results::Table quality_gate(const Measurements& measurements);

inline constexpr double kLeastEfficacy = 0.9;
inline constexpr double kLargestNeighbourhoodLoss = 0.15;
inline constexpr double kLargestPerplexityRise = 0.05;

}  // namespace palimpsest::analysis
