// The lifelong curve: how the first, the last and all edits hold while more and more are made into one model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "experiment/stage_record.hpp"
#include "experiment/state.hpp"

namespace palimpsest::experiment {

// Whether a multiple of `every` (0: never) was reached by the facts (before, now], or the end of `all`.
bool lifelong_is_due(std::int64_t every, std::size_t before, std::size_t now, std::size_t all);

// Adds the rows of this measuring to the table /lifelong. `edited`: the facts edited so far, in order; the groups are
// the first `every` of them, the last `every`, and all.
void measure_lifelong(const model::Model& model, const model::Parameters& parameters,
                      const std::vector<const palimpsest_fact*>& edited, std::int64_t every, std::int64_t ordinal,
                      StageRecord& record);

}  // namespace palimpsest::experiment
