// What a search found (config/search.hpp): the table /trials of its results, the best trial, and its values as TOML.
//
// Pure functions of what was measured.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/summary_data.hpp"
#include "config/sweep.hpp"
#include "results/table.hpp"

namespace palimpsest::experiment {

// One row per trial of which a cell is done: its values, the mean of each part of the objective over the edited facts
// of all replicates right after the edit, their harmonic mean `score`, and whether it is the best. Throws
// Error(kNotFound) for a column that its metric does not have, with those it has.
results::Table trials_table(const config::Search& search, const std::vector<config::Cell>& cells,
                            const analysis::Measurements& measurements);

// Throws Error(kNotFound), with the nearest of `columns` or all of them, unless `part` names one: the columns that its
// metric declares.
void require_column(const config::ObjectivePart& part, const std::vector<std::string>& columns);

// The row of the best trial: the highest score, of equal ones the first. Nothing where no trial has a score.
std::optional<std::size_t> best_trial(const results::Table& trials);

// [defaults.editor.ID] with every parameter of the best trial that the search moved or that is not the plugin's own
// default, under a comment that says how it was found. `file`: what was searched, as the user named it.
std::string best_as_toml(const config::Search& search, const std::vector<config::Cell>& cells,
                         const results::Table& trials, const config::PluginSpec& editor, const std::string& file,
                         const std::string& version);

}  // namespace palimpsest::experiment
