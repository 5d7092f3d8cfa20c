// C = E[k k^T] of the inputs of one layer's down-projection, over a corpus, of the base model; and solves with it.
//
// Symmetric positive definite when enough keys went in. The Cholesky factor is made at the first solve and kept.
// Immutable but for that; not thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace palimpsest::model {

// Columns of the sum of k k^T that are one product: wide enough for the library, narrow enough that little of the
// square, of which half is needed, is in vain.
inline constexpr std::int64_t kPanelColumns = 256;

class SecondMoment {
 public:
  // `sum` [mlp, mlp] float64 of k k^T over `count` keys. Throws kInvalidArgument (shape, count), kNumeric (not finite).
  SecondMoment(at::Tensor sum, std::int64_t count, std::int64_t layer);

  const at::Tensor& matrix() const { return mean_; }  // [mlp, mlp] float64, the mean
  std::int64_t count() const { return count_; }

  // X with (scale * C) X = rhs, float64; rhs [mlp] or [mlp, n]. Solved on the device of C (the CPU, where a matrix and
  // its factor do not take a GPU's memory); X is on that of rhs. Throws kInvalidArgument for another shape, kNumeric
  // when C is not positive definite, saying how many keys there were and how many would do.
  at::Tensor solve(double scale, const at::Tensor& rhs) const;

 private:
  at::Tensor mean_;
  std::int64_t count_;
  std::int64_t layer_;
  mutable at::Tensor factor_;  // lower triangular
};

// A sum of k k^T is symmetric, and half of it is half of the work. add_keys() adds `keys` [n, mlp], multiplied in their
// own dtype, to `sum` [mlp, mlp] float64 in panels of columns that end with their squares on the diagonal; what lies
// under those stays as it is until complete_sum() copies it, in place, from what lies above.
void add_keys(at::Tensor& sum, const at::Tensor& keys);
void complete_sum(at::Tensor& sum);

}  // namespace palimpsest::model
