// A stage that edits: the facts' requests, in the calls that the scope asks for, to one instance of the editor.
#pragma once

#include <string>

#include "experiment/workshop.hpp"

namespace palimpsest::experiment {

// Edits `state` in place; what the editor recorded, and the lifelong curve, go to `record`. `id`: of the isolated
// fact, or "".
void edit(Workshop& workshop, State& state, const ChainPlace& place, const std::string& id, StageRecord& record);

}  // namespace palimpsest::experiment
