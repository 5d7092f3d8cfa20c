// What several families' config.json say in the same way.
#pragma once

#include <string_view>

#include "model/architectures/fields.hpp"
#include "model/config.hpp"

namespace palimpsest::model {

// The activation named under `key`. Throws kUnsupported naming the field, with "did you mean" and what is available.
Activation read_activation(Fields& fields, std::string_view key, std::string_view fallback);

// The widths of a family whose heads all have keys of their own and divide the hidden width: hidden, heads, kv_heads
// and head_dim, from the fields of these names. Throws kInvalidArgument where they do not.
void read_heads(Fields& fields, std::string_view hidden, std::string_view heads, Config& config);

// rope_theta, partial_rotary_factor and "rope_scaling" as written until transformers 4, "rope_parameters" since 5.
// `rotary` comes with the family's defaults. Throws kUnsupported for a scaling that is not offered.
void read_rope(Fields& fields, RotaryConfig& rotary);
// The table "rope_scaling" or "rope_parameters" alone, for families with names of their own for the two values.
void read_rope_table(Fields& fields, RotaryConfig& rotary);

// kUnsupported unless every entry of "layer_types" is `expected`.
void check_layer_types(Fields& fields, std::string_view expected);

// Marks as read what no decoder's numbers depend on, and refuses what makes a model another kind of one.
void read_bookkeeping(Fields& fields);

}  // namespace palimpsest::model
