// Whether a search keeps away from the facts of other experiments, as [tune] apart_from asks.
#pragma once

#include <vector>

#include "config/sweep.hpp"

namespace palimpsest::config {

// One problem for each file of search.apart_from that cannot be read, or one of whose cells may use a row of the same
// facts' file that a cell of `cells` may use too. Rows count, not what is drawn from them: that a model knows a fact is
// known only later. Throws nothing.
std::vector<Problem> shared_rows(const Search& search, const std::vector<Cell>& cells, const PluginCatalog& catalog,
                                 const Locations& locations);

}  // namespace palimpsest::config
