// One node of a plan, done in this process: its result is committed to the store, or as the cell's file, or nothing is
// left.
#pragma once

#include "experiment/plan.hpp"

namespace palimpsest::experiment {

// Everything below the node must be done. Throws Error naming what failed.
void run_node(const Plan& plan, const PlanNode& node, const Environment& environment);

}  // namespace palimpsest::experiment
