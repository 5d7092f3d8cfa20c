// The report's sentences around its tables: what follows from the contrasts, what stays open, and what the words mean.
//
// Plain text of at most 100 columns. Pure functions. Safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "analysis/summary_data.hpp"
#include "results/table.hpp"

namespace palimpsest::analysis {

// What the tables are about, each metric once; never nullptr.
using Shown = std::vector<const Primary*>;
bool is_shown(const Shown& shown, const std::string& metric);

// The first rate beside which the same stands for a placebo, in a column of its name with `_placebo` behind it.
// nullptr: none.
const MetricColumn* with_placebo(const MetricRows& metric);

// The words of the tables. "" where there is no table.
std::string legend(const Shown& shown);

// The sentences of the headline contrasts of these metrics, and which outcomes of other metrics were compared. ""
// without any.
std::string conclusions(const results::Table& contrasts, const Shown& shown);

// Pairs that freeze differently, passed the quality gate, and never stood at one validation loss. "" without any.
std::string left_open(const results::Table& contrasts, const results::Table& gate, const Shown& shown);

}  // namespace palimpsest::analysis
