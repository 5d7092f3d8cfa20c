// Values that plugins compute once (store/1), as entries of the stage store: tensors and texts in one safetensors file.
#pragma once

#include <functional>

#include "experiment/store.hpp"
#include "plugin/services/context.hpp"

namespace palimpsest::experiment {

// The entry, read back from its file also where `compute` just made it; sorted by name. Throws what `compute` and
// Store::get_or_compute throw.
plugin::StoreEntry stored_value(Store& store, const Key& key, const std::function<plugin::StoreEntry()>& compute);

}  // namespace palimpsest::experiment
