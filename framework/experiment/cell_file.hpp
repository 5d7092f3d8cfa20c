// A cell's results file: what its nodes left in the store, gathered, with everything that says where it comes from.
#pragma once

#include "experiment/workshop.hpp"

namespace palimpsest::experiment {

// Writes the file of the workshop's cell, whole or not at all. Nothing in it depends on time, host or path: two equal
// runs give equal bytes.
void write_cell_file(Workshop& workshop);

}  // namespace palimpsest::experiment
