// A fine-tuning stage: the task's examples, the policy's decisions, the host's loop, and what it asks to be measured.
#pragma once

#include <string>

#include "experiment/workshop.hpp"

namespace palimpsest::experiment {

// Tunes `state` in place; measurements and the dose go to `record`. `edit`: id of the isolated fact, or "".
void finetune(Workshop& workshop, State& state, const ChainPlace& place, const std::string& edit, StageRecord& record);

}  // namespace palimpsest::experiment
