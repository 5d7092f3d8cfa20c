// Keys and values of tokens that were run already, so that later tokens of the same rows need not run them again.
//
// A value: nothing changes a Cache after it was made, copies share tensors, and continuing it gives a new one. It holds
// the layers [first_layer, end_layer), K and V each [rows, kv_heads, slots, head_dim], after the rotation; of row r the
// slots [0, lengths[r]) hold tokens 0 .. lengths[r] - 1, the others nothing. Safe to share between threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace palimpsest::model {

class Cache {
 public:
  Cache() = default;
  Cache(std::int64_t first_layer, std::vector<at::Tensor> keys, std::vector<at::Tensor> values,
        std::vector<std::int64_t> lengths);

  bool empty() const { return keys_.empty(); }
  std::int64_t first_layer() const { return first_layer_; }
  std::int64_t end_layer() const { return first_layer_ + static_cast<std::int64_t>(keys_.size()); }
  std::int64_t rows() const { return static_cast<std::int64_t>(lengths_.size()); }
  std::int64_t slots() const;
  const std::vector<std::int64_t>& lengths() const { return lengths_; }
  // Throws kOutOfRange for a layer that is not held.
  const at::Tensor& keys(std::int64_t layer) const;
  const at::Tensor& values(std::int64_t layer) const;

  // Row i of the result is row rows[i] of this; rows may repeat. Slots that no chosen row uses are dropped.
  Cache select(std::span<const std::int64_t> rows) const;
  // The first lengths[r] tokens of every row; lengths must not exceed those held. For prefixes of one pass.
  Cache truncate(std::span<const std::int64_t> lengths) const;
  // Only the layers from `layer` on: what a run that starts there needs.
  Cache from_layer(std::int64_t layer) const;
  // No gradient flows into what the cache holds.
  Cache detach() const;

 private:
  std::int64_t first_layer_ = 0;
  std::vector<at::Tensor> keys_;
  std::vector<at::Tensor> values_;
  std::vector<std::int64_t> lengths_;
};

}  // namespace palimpsest::model
