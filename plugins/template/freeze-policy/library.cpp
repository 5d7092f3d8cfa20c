// The library's one exported symbol: the list of its plugins.
#include "my_method.hpp"

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<my_method::MyMethod>)
