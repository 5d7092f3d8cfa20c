// Rows of token ids of different lengths, as one tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace palimpsest::model {

struct TokenRows {
  at::Tensor ids;  // [rows, longest] int64, right-padded
  std::vector<std::int64_t> lengths;
};

// On the processor; `padding` stands behind every row's end.
TokenRows right_padded(const std::vector<std::span<const std::int64_t>>& rows, std::int64_t padding = 0);

}  // namespace palimpsest::model
