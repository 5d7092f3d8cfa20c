// A fine-tuning stage: the task's examples, the policy's decisions, the host's loop, and everything measured along the
// way.
#pragma once

#include <string>

#include "experiment/workshop.hpp"

namespace palimpsest::experiment {

// Tunes `state` in place; measurements and the dose go to `record`. `edit`: id of the isolated fact, or "". `only`: the
// isolated fact's index among the edited ones.
void finetune(Workshop& workshop, State& state, const ChainPlace& place, const std::string& edit, StageRecord& record);

// All metrics of the cell that run at this stage, on the model of `state`.
void measure(Workshop& workshop, const State& state, const plugin::MeasuringPoint& point, const std::string& edit,
             const std::vector<const palimpsest_fact*>& facts, StageRecord& record);

// The task's own score of the model of `state`.
void score(Workshop& workshop, const State& state, const plugin::MeasuringPoint& point, const std::string& edit,
           StageRecord& record);

}  // namespace palimpsest::experiment
