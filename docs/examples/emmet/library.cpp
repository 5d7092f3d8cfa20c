// The library's one exported symbol: the list of its plugins.
#include "emmet.hpp"

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<emmet::Emmet>)
