// [sweep]: one document -> its cells.
//
// Axes are the swept keys, in the order of the file, then the variants, then the replicates; the last moves fastest.
// The order and the names depend on nothing else, so a second run finds the first one's cells. In place of [sweep], a
// search (search.hpp) makes one cell of each trial and replicate. Plain functions, thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/experiment.hpp"
#include "config/search.hpp"

namespace palimpsest::config {

inline constexpr std::size_t kMaxCells = 100000;

struct Cell {
  std::string name;  // unique in the experiment; letters, digits and . _ = + , - only; at most 160 bytes: a file name
  // Swept dotted key (or "variant") -> value, in axis order.
  std::vector<std::pair<std::string, std::string>> coordinates;
  int replicate = 0;
  // Roles are drawn with `roles_seed`. With swap_roles, replicates 2k and 2k+1 have the same one and the second
  // exchanges the roles (`swapped`), so that each fact is its own control.
  std::uint64_t roles_seed = 0;
  bool swapped = false;
  bool paired = false;  // another replicate of the experiment has the roles exchanged
  // Data order and every other random stream of the cell: the seed of the experiment plus the replicate.
  std::uint64_t seed = 0;
  Experiment experiment;
};

struct Expansion {
  std::vector<Cell> cells;        // to be used only without problems
  std::vector<Problem> problems;  // of all cells, sorted, each once
  std::optional<Search> search;   // of [tune]; cells then have the coordinates "trial" and "editor.PARAMETER"
};

// Expands and checks every cell; finds all problems, throws for none of them.
Expansion expand_all(const Document& document, const PluginCatalog& catalog, const Locations& locations,
                     bool check_files = true);

// The cells; throws Error(kInvalidArgument) with text_of(problems) when there are any.
std::vector<Cell> expand(const Document& document, const PluginCatalog& catalog, const Locations& locations);

// The experiment's resolved text with a table [cell]: name, replicate, roles_seed, swapped, seed, coordinates. Without
// what cannot change a number: plugin_path, experiment.output, run.jobs, run.node_seconds, run.node_memory,
// second_moments.layers_at_once, and the index of model.device.
std::string to_toml(const Cell& cell);

}  // namespace palimpsest::config
