// About how long a plan will take: counted work, divided by a rate measured now. (How much memory: app/memory.)
//
// An estimate, good to a factor of two: what an editor or a metric does is its plugin's affair, and the host assumes a
// typical one.
#pragma once

#include <map>
#include <string>

#include "app/checked.hpp"
#include "experiment/plan.hpp"

namespace palimpsest::app {

struct Estimate {
  double gemm_rate = 0;                   // float32 operations per second of run.threads threads
  std::map<std::string, double> seconds;  // by node id
};

// Takes about half a second, for the measurement.
Estimate estimate(const experiment::Plan& plan, const Checked& checked);

// What the memory of a cell's workers follows from.
WorkerSizes sizes_of(const experiment::Plan& plan, const Checked& checked, std::size_t cell);

}  // namespace palimpsest::app
