// What is asked of a model between two stages, or on the way of a fine-tuning: the cell's metrics, and the task's own
// score.
#pragma once

#include <string>
#include <vector>

#include "experiment/workshop.hpp"

namespace palimpsest::experiment {

// All metrics of the cell that run at this stage, on the model of `state`. `edit`: id of the isolated fact, or "".
void measure(Workshop& workshop, const State& state, const plugin::MeasuringPoint& point, const std::string& edit,
             const std::vector<const palimpsest_fact*>& facts, StageRecord& record);

// The task's own score of the model of `state`; with a task that is prepared already, or with one made for it.
void score(Workshop& workshop, plugin::Task& task, const State& state, const plugin::MeasuringPoint& point,
           const std::string& edit, StageRecord& record);
void score(Workshop& workshop, const State& state, const plugin::MeasuringPoint& point, const std::string& edit,
           StageRecord& record);

}  // namespace palimpsest::experiment
