#include "rome.hpp"

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::rome::Rome>)
