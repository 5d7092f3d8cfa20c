// Rotary positions: each pair of coordinates of a head's query or key is turned by position x frequency.
//
// Frequencies and angles are float32 products as transformers takes them, so that long texts agree with it.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/config.hpp"

namespace palimpsest::model {

struct RotaryTable {
  at::Tensor cos, sin;  // [n, turning / 2] float32, a row per token
  RotaryLayout layout = RotaryLayout::kHalf;
};

// positions [n] int64, on the device where the table is wanted.
RotaryTable rotary_table(const RotaryConfig& rotary, std::int64_t head_dim, const at::Tensor& positions);

// x [n, heads, head_dim], a row per token; gives a new tensor of x's dtype. Coordinates past the turning ones pass
// through.
at::Tensor rotate(const at::Tensor& x, const RotaryTable& table);

}  // namespace palimpsest::model
