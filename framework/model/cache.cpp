#include "model/cache.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.hpp"

namespace palimpsest::model {

Cache::Cache(std::int64_t first_layer, std::vector<at::Tensor> keys, std::vector<at::Tensor> values,
             std::vector<std::int64_t> lengths)
    : first_layer_(first_layer), keys_(std::move(keys)), values_(std::move(values)), lengths_(std::move(lengths)) {
  if (keys_.size() != values_.size()) {
    fail(ErrorCode::kInvalidArgument, "a cache of ", keys_.size(), " layers' keys and ", values_.size(),
         " layers' values");
  }
}

std::int64_t Cache::slots() const { return keys_.empty() ? 0 : keys_.front().size(2); }

const at::Tensor& Cache::keys(std::int64_t layer) const {
  if (layer < first_layer() || layer >= end_layer()) {
    fail(ErrorCode::kOutOfRange, "the cache holds layers ", first_layer(), " to ", end_layer() - 1, ", asked for ",
         layer);
  }
  return keys_[static_cast<std::size_t>(layer - first_layer_)];
}

const at::Tensor& Cache::values(std::int64_t layer) const {
  keys(layer);
  return values_[static_cast<std::size_t>(layer - first_layer_)];
}

Cache Cache::select(std::span<const std::int64_t> chosen) const {
  Cache result;
  result.first_layer_ = first_layer_;
  std::int64_t slots = 0;
  for (const std::int64_t row : chosen) {
    if (row < 0 || row >= rows()) fail(ErrorCode::kOutOfRange, "cache row ", row, ": the cache has ", rows(), " rows");
    result.lengths_.push_back(lengths_[static_cast<std::size_t>(row)]);
    slots = std::max(slots, result.lengths_.back());
  }
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const at::Tensor index = at::tensor(at::IntArrayRef(chosen.data(), chosen.size()), at::kLong).to(keys_[i].device());
    result.keys_.push_back(keys_[i].narrow(2, 0, slots).index_select(0, index));
    result.values_.push_back(values_[i].narrow(2, 0, slots).index_select(0, index));
  }
  return result;
}

Cache Cache::truncate(std::span<const std::int64_t> lengths) const {
  Cache result;
  result.first_layer_ = first_layer_;
  std::int64_t slots = 0;
  if (lengths.size() != lengths_.size()) {
    fail(ErrorCode::kInvalidArgument, lengths.size(), " lengths for a cache of ", rows(), " rows");
  }
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    if (lengths[row] < 0 || lengths[row] > lengths_[row]) {
      fail(ErrorCode::kOutOfRange, "cache row ", row, " holds ", lengths_[row], " tokens and cannot be cut to ",
           lengths[row]);
    }
    slots = std::max(slots, lengths[row]);
  }
  result.lengths_.assign(lengths.begin(), lengths.end());
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    result.keys_.push_back(keys_[i].narrow(2, 0, slots));
    result.values_.push_back(values_[i].narrow(2, 0, slots));
  }
  return result;
}

Cache Cache::from_layer(std::int64_t layer) const {
  if (layer < first_layer() || layer > end_layer()) {
    fail(ErrorCode::kOutOfRange, "the cache holds layers ", first_layer(), " to ", end_layer() - 1,
         ", asked for those from ", layer);
  }
  const auto skip = static_cast<std::ptrdiff_t>(layer - first_layer_);
  Cache result;
  result.first_layer_ = layer;
  result.keys_.assign(keys_.begin() + skip, keys_.end());
  result.values_.assign(values_.begin() + skip, values_.end());
  result.lengths_ = lengths_;
  return result;
}

Cache Cache::detach() const {
  Cache result = *this;
  for (at::Tensor& tensor : result.keys_) tensor = tensor.detach();
  for (at::Tensor& tensor : result.values_) tensor = tensor.detach();
  return result;
}

}  // namespace palimpsest::model
