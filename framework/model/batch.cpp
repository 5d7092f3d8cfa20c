#include "model/batch.hpp"

#include <ATen/ATen.h>

#include "base/error.hpp"

namespace palimpsest::model {

Batch::Batch(std::int64_t rows, std::int64_t tokens, std::vector<std::int64_t> lengths, at::Device device)
    : rows_(rows), tokens_(tokens), lengths_(std::move(lengths)) {
  bool padded = false;
  for (const std::int64_t length : lengths_) {
    offsets_.push_back(count_);
    count_ += length;
    padded = padded || length != tokens_;
  }
  if (!padded) return;
  std::vector<std::int64_t> index;
  index.reserve(static_cast<std::size_t>(count_));
  for (std::int64_t row = 0; row < rows_; ++row) {
    for (std::int64_t t = 0; t < lengths_[static_cast<std::size_t>(row)]; ++t) index.push_back(row * tokens_ + t);
  }
  index_ = at::tensor(index, at::kLong).to(device);
}

at::Tensor Batch::pack(const at::Tensor& padded) const {
  const at::Tensor flat = padded.flatten(0, 1);
  return index_.defined() ? flat.index_select(0, index_) : flat;
}

at::Tensor Batch::unpack(const at::Tensor& packed) const {
  std::vector<std::int64_t> shape = packed.sizes().vec();
  shape.front() = rows_ * tokens_;
  const at::Tensor flat = index_.defined() ? at::zeros(shape, packed.options()).index_copy(0, index_, packed) : packed;
  return flat.unflatten(0, {rows_, tokens_});
}

std::int64_t Batch::place(const RowPosition& position, std::string_view what) const {
  if (position.row < 0 || position.row >= rows_) {
    fail(ErrorCode::kOutOfRange, what, ": row ", position.row, " of ", rows_, " rows");
  }
  const auto row = static_cast<std::size_t>(position.row);
  if (position.position < 0 || position.position >= lengths_[row]) {
    fail(ErrorCode::kOutOfRange, what, ": position ", position.position, " of row ", position.row, ", which has ",
         lengths_[row], " tokens");
  }
  return offsets_[row] + position.position;
}

}  // namespace palimpsest::model
