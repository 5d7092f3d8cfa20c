// /contrasts: the differences that the study is about, each with its interval, its test and its sentence.
//
// Between configurations that differ in one coordinate (with variants: each against the first and against the unedited
// control), on the same facts in the same replicates; and between edited and intrinsic facts within one configuration.
// Pure functions. Safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "analysis/summary.hpp"

namespace palimpsest::analysis {

// /contrasts at the last measuring point, for the primary outcomes of each metric (primaries_of): retention of its rate
// and the change of its continuous one, both against the rate's baseline. Configurations that freeze differently and
// end with different validation losses are compared at equal validation loss too (contrasts_loss.hpp), and that
// contrast is the headline. `gate` is quality_gate(measurements): contrasts with a cell that failed it are not
// headline. docs/results-format.md defines the columns.
results::Table contrasts(const Measurements& measurements, const results::Table& gate,
                         const SummaryOptions& options = {});

// Which configurations are compared: the contrast reads `a minus b`.
struct ConfigurationPair {
  std::size_t a = 0, b = 0;
  std::string differs_in;  // "variant" or the name of the column at_*
};
std::vector<ConfigurationPair> pairs_of(const results::Table& cells, const std::vector<Configuration>& configurations);

}  // namespace palimpsest::analysis
