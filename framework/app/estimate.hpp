// About how long a plan will take and how much memory it will want: counted work, divided by a rate measured now.
//
// An estimate, good to a factor of two: what an editor or a metric does is its plugin's affair, and the host assumes a
// typical one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "app/checked.hpp"
#include "experiment/plan.hpp"

namespace palimpsest::app {

struct Estimate {
  double gemm_rate = 0;                   // float32 operations per second of run.threads threads
  std::map<std::string, double> seconds;  // by node id
  double worker_mib = 0;                  // resident, of one worker
};

// Takes about half a second, for the measurement.
Estimate estimate(const experiment::Plan& plan, const Checked& checked);

}  // namespace palimpsest::app
