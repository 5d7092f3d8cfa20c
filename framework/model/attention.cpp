#include "model/attention.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "base/error.hpp"

namespace palimpsest::model {

at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                  bool causal) {
  const std::int64_t rows = query.size(0), tokens = query.size(1), heads = query.size(2), width = query.size(3);
  const std::int64_t kv_heads = key.size(1), slots = key.size(2), group = heads / kv_heads;
  if (causal || group == 1) {
    const auto all_heads = [&](const at::Tensor& x) {
      if (group == 1) return x;
      return x.unsqueeze(2).expand({rows, kv_heads, group, slots, width}).reshape({rows, heads, slots, width});
    };
    const at::Tensor out =
        at::scaled_dot_product_attention(query.transpose(1, 2), all_heads(key), all_heads(value),
                                         mask.defined() ? std::make_optional(mask) : std::nullopt, 0.0, causal);
    return out.transpose(1, 2).reshape({rows, tokens, heads * width});
  }
  // The queries that share a key/value head are taken as further tokens of one head: keys and values, which are the
  // long side when a cache is continued, are then never copied per head.
  const at::Tensor grouped = query.view({rows, tokens, kv_heads, group, width})
                                 .permute({0, 2, 3, 1, 4})
                                 .reshape({rows, kv_heads, group * tokens, width});
  std::optional<at::Tensor> grouped_mask;
  if (mask.defined()) {
    grouped_mask = mask.unsqueeze(2)
                       .expand({mask.size(0), 1, group, tokens, slots})
                       .reshape({mask.size(0), 1, group * tokens, slots});
  }
  const at::Tensor out = at::scaled_dot_product_attention(grouped, key, value, grouped_mask, 0.0, false);
  return out.view({rows, kv_heads, group, tokens, width})
      .permute({0, 3, 1, 2, 4})
      .reshape({rows, tokens, heads * width});
}

CacheMemory::CacheMemory(const Cache* cache, std::vector<std::int64_t> rows, std::vector<std::int64_t> lengths,
                         bool keep, at::Device device)
    : cache_(cache), lengths_(std::move(lengths)), keep_(keep), device_(device) {
  past_.assign(lengths_.size(), 0);
  if (cache_ == nullptr) return;
  bool identity = cache_->rows() == static_cast<std::int64_t>(lengths_.size());
  for (std::size_t i = 0; i < lengths_.size(); ++i) {
    const std::int64_t row = rows.empty() ? static_cast<std::int64_t>(i) : rows[i];
    identity = identity && row == static_cast<std::int64_t>(i);
    past_[i] = cache_->lengths()[static_cast<std::size_t>(row)];
    slots_ = std::max(slots_, past_[i]);
  }
  ragged_ = std::any_of(past_.begin(), past_.end(), [this](std::int64_t past) { return past < slots_; });
  if (!identity) {
    if (rows.empty()) {
      rows.resize(lengths_.size());
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
    }
    row_index_ = at::tensor(rows, at::kLong).to(device_);
  }
  if (keep_ && ragged_) {
    std::int64_t kept = 0;
    for (std::size_t i = 0; i < lengths_.size(); ++i) kept = std::max(kept, past_[i] + lengths_[i]);
    const std::int64_t last = slots_ + *std::max_element(lengths_.begin(), lengths_.end()) - 1;
    at::Tensor index = at::empty({static_cast<std::int64_t>(lengths_.size()), kept}, at::kLong);
    auto entries = index.accessor<std::int64_t, 2>();
    for (std::size_t i = 0; i < lengths_.size(); ++i) {
      for (std::int64_t slot = 0; slot < kept; ++slot) {
        entries[static_cast<std::int64_t>(i)][slot] = slot < past_[i] ? slot : std::min(last, slots_ + slot - past_[i]);
      }
    }
    compact_index_ = index.to(device_);
  }
}

at::Tensor CacheMemory::mask(std::int64_t tokens, at::ScalarType dtype) const {
  if (tokens == 1 && !ragged_) return {};
  const std::int64_t rows = ragged_ ? static_cast<std::int64_t>(past_.size()) : 1;
  at::Tensor mask = at::zeros({rows, 1, tokens, slots_ + tokens}, at::kFloat);
  auto entries = mask.accessor<float, 4>();
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t token = 0; token < tokens; ++token) {
      auto line = entries[row][0][token];
      for (std::int64_t slot = past_[static_cast<std::size_t>(row)]; slot < slots_; ++slot) line[slot] = kHidden;
      for (std::int64_t slot = slots_ + token + 1; slot < slots_ + tokens; ++slot) line[slot] = kHidden;
    }
  }
  return mask.to(device_, dtype);
}

at::Tensor CacheMemory::compact(const at::Tensor& slots) const {
  if (!compact_index_.defined()) return slots;
  const at::Tensor index = compact_index_.unsqueeze(1).unsqueeze(3).expand(
      {slots.size(0), slots.size(1), compact_index_.size(1), slots.size(3)});
  return slots.gather(2, index);
}

std::pair<at::Tensor, at::Tensor> CacheMemory::extend(std::int64_t layer, const at::Tensor& key,
                                                      const at::Tensor& value) {
  at::Tensor all_keys = key, all_values = value;
  if (cache_ != nullptr) {
    const auto past = [this](const at::Tensor& held) {
      const at::Tensor used = held.narrow(2, 0, slots_);
      return row_index_.defined() ? used.index_select(0, row_index_) : used;
    };
    all_keys = at::cat({past(cache_->keys(layer)).to(key.scalar_type()), key}, 2);
    all_values = at::cat({past(cache_->values(layer)).to(value.scalar_type()), value}, 2);
  }
  if (keep_) {
    if (first_layer_ < 0) first_layer_ = layer;
    keys_.push_back(compact(all_keys));
    values_.push_back(compact(all_values));
  }
  return {all_keys, all_values};
}

Cache CacheMemory::take() {
  std::vector<std::int64_t> lengths = past_;
  for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] += lengths_[i];
  return Cache(std::max<std::int64_t>(first_layer_, 0), std::move(keys_), std::move(values_), std::move(lengths));
}

}  // namespace palimpsest::model
