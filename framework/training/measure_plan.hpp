// How many steps a run has, and after which of them the metrics run. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

namespace palimpsest::training {

// The planned number of steps: max_steps, or the whole steps that `epochs` passes over the data hold (at least one), or
// the smaller of both; 0 means "not bounded by this". Throws Error(kInvalidArgument) when both are 0 or one is
// negative.
std::int64_t planned_steps(std::int64_t max_steps, double epochs, std::int64_t steps_per_epoch);

struct MeasureOptions {
  std::vector<std::int64_t> steps;  // 0 is before the first step
  std::int64_t every = 0;           // also after every so many steps; 0: off
  std::vector<double> epochs;       // also at the first step that completes such a share of an epoch
};

// Ascending, each step once, all of 0 .. total, the last step always. Throws Error(kInvalidArgument) for negative
// entries.
std::vector<std::int64_t> measuring_steps(const MeasureOptions& options, std::int64_t total,
                                          std::int64_t steps_per_epoch);

}  // namespace palimpsest::training
