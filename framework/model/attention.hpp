// Causal attention of a batch of rows over themselves and over what a memory holds of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "model/cache.hpp"

namespace palimpsest::model {

// Keys and values of earlier tokens. One object serves one forward pass at a time.
class KeyValueMemory {
 public:
  virtual ~KeyValueMemory() = default;
  // Takes the new tokens' key and value of a layer, each [rows, kv_heads, tokens, head_dim] with slots past a row's
  // length undefined but finite, and gives all that the layer attends to, [rows, kv_heads, slots, head_dim], as `mask`
  // expects it.
  virtual std::pair<at::Tensor, at::Tensor> extend(std::int64_t layer, const at::Tensor& key,
                                                   const at::Tensor& value) = 0;
};

// What a pass attends to besides its own tokens.
struct Past {
  KeyValueMemory* memory = nullptr;   // null: keys and values are not kept
  std::vector<std::int64_t> lengths;  // tokens before this pass, per row; empty: 0
  bool causal = true;  // nothing came before: token t sees tokens 0 .. t of its row, and no mask is needed
  at::Tensor mask;  // if not causal: [rows or 1, 1, tokens, slots], 0 or -inf; undefined: every token sees every slot
};

// query [rows, tokens, heads, head_dim], key and value [rows, kv_heads, slots, head_dim]; heads is a multiple of
// kv_heads. mask as in Past; `causal`: token t sees slots 0 .. t, without a mask. Gives [rows, tokens, heads *
// head_dim].
at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                  bool causal);

// Continues an immutable cache and, if asked, keeps what the continued one will hold.
class CacheMemory : public KeyValueMemory {
 public:
  // `cache` may be null: nothing is continued, and only new tokens are kept. `rows` as ForwardRequest::cache_rows;
  // `lengths` the new tokens' number per row. `cache` must outlive the object.
  CacheMemory(const Cache* cache, std::vector<std::int64_t> rows, std::vector<std::int64_t> lengths, bool keep,
              at::Device device);

  std::pair<at::Tensor, at::Tensor> extend(std::int64_t layer, const at::Tensor& key, const at::Tensor& value) override;

  // Tokens before this pass per row.
  const std::vector<std::int64_t>& past_lengths() const { return past_; }
  // The mask for `tokens` new tokens per row (the longest of `lengths`), undefined when one new token sees all slots.
  // dtype: that of the queries.
  at::Tensor mask(std::int64_t tokens, at::ScalarType dtype) const;
  // What was kept, starting at the first layer extended.
  Cache take();

 private:
  const Cache* cache_;
  std::vector<std::int64_t> past_;
  std::vector<std::int64_t> lengths_;
  bool keep_;
  at::Device device_;
  std::int64_t slots_ = 0;         // of the continued cache, as used
  bool ragged_ = false;            // some row's past is shorter than slots_
  std::int64_t joined_slots_ = 0;  // of a ragged one: the longest row's past and new tokens
  at::Tensor row_index_;           // undefined: identity
  std::int64_t first_layer_ = -1;
  std::vector<at::Tensor> keys_, values_;
};

}  // namespace palimpsest::model
