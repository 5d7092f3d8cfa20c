// Rows of different lengths, packed: padding costs nothing outside attention.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/decoder.hpp"

namespace palimpsest::model {

// How tokens of several rows lie packed one row after the other.
class Batch {
 public:
  Batch() = default;
  Batch(std::int64_t rows, std::int64_t tokens, std::vector<std::int64_t> lengths, at::Device device);

  std::int64_t rows() const { return rows_; }
  std::int64_t tokens() const { return tokens_; }
  std::int64_t count() const { return count_; }
  const std::vector<std::int64_t>& lengths() const { return lengths_; }
  // [rows, tokens, ...] <-> [count, ...]; padding reads as 0.
  at::Tensor pack(const at::Tensor& padded) const;
  at::Tensor unpack(const at::Tensor& packed) const;
  // Throws kOutOfRange naming `what`.
  std::int64_t place(const RowPosition& position, std::string_view what) const;

 private:
  std::int64_t rows_ = 0, tokens_ = 0, count_ = 0;
  std::vector<std::int64_t> lengths_, offsets_;
  at::Tensor index_;  // places of the packed tokens among rows * tokens; undefined when there is no padding
};

}  // namespace palimpsest::model
