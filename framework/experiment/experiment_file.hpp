// The experiment's file: all finished cells' rows, with /summary, /quality_gate and /contrasts; derived, and made again
// at any time.
#pragma once

#include <filesystem>

#include "experiment/plan.hpp"
#include "experiment/supervisor.hpp"

namespace palimpsest::experiment {

// Writes <output>/<name>.h5 from the cells that are done, and gives its path; an empty path when none is. Timing
// sidecars (<cell>.timing.h5 beside the cells' files) become /timing.
std::filesystem::path write_experiment_file(const Plan& plan);

}  // namespace palimpsest::experiment
