// Columns of a metric or of a task's score, by what the host does with them: palimpsest_column without its constants.
//
// Names, units and docs are constants of the library, so the results are too and fit into a static constexpr list. Its
// order counts: a metric's primary outcomes, which the host's contrasts are about, are the first rate with a baseline
// and the first mean in a unit other than "1".
#pragma once

#include "palimpsest/types.h"

namespace palimpsest::sdk {

// A number that the host averages over facts, in `unit`.
constexpr palimpsest_column mean_column(const char* name, const char* unit, const char* doc,
                                        palimpsest_gate gate = PALIMPSEST_GATE_NONE) {
  return {name, PALIMPSEST_FLOAT64, unit, doc, PALIMPSEST_AGGREGATE_MEAN, PALIMPSEST_BASELINE_NONE, gate};
}

// An outcome, true or false: its share of successes, and its retention against `baseline`.
constexpr palimpsest_column rate_column(const char* name, const char* doc,
                                        palimpsest_baseline baseline = PALIMPSEST_BASELINE_BOTH,
                                        palimpsest_gate gate = PALIMPSEST_GATE_NONE) {
  return {name, PALIMPSEST_BOOL, "1", doc, PALIMPSEST_AGGREGATE_RATE, baseline, gate};
}

// A value of any column's type that is stored and not summarised.
constexpr palimpsest_column plain_column(const char* name, palimpsest_dtype dtype, const char* unit, const char* doc) {
  return {name, dtype, unit, doc, PALIMPSEST_AGGREGATE_NONE, PALIMPSEST_BASELINE_NONE, PALIMPSEST_GATE_NONE};
}

}  // namespace palimpsest::sdk
