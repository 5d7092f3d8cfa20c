// Keeps the displacement of a weight out of given directions: W <- W - Q Q^T (W - W_entering), or from the right.
//
// Gradients are not projected: AdamW's division by the second moment, and weight decay, would lead out of the subspace
// again. The arithmetic is float64, so what is left in the directions is the rounding of W itself to float32.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>
#include <vector>

namespace palimpsest::training {

enum class Side {
  kOut,  // basis [out, r]: directions of the outputs (columns of W)
  kIn,   // basis [in, r]: directions of the inputs (rows of W)
};

struct Projection {
  Side side = Side::kOut;
  at::Tensor basis;  // orthonormal columns, to 1e-4
};

// The projections of one matrix [out, in], at most one per side. Immutable; holds `entering`.
class DisplacementGuard {
 public:
  // Throws Error(kInvalidArgument) naming `parameter`: not a matrix, a basis of another height or not orthonormal, a
  // side named twice.
  DisplacementGuard(std::string_view parameter, at::Tensor entering, const std::vector<Projection>& projections);

  // Writes into `weight` in place.
  void apply(const at::Tensor& weight) const;
  // The share of |weight - entering| that lies in the directions; 0 when nothing has moved.
  double leaked_share(const at::Tensor& weight) const;

 private:
  at::Tensor inside(const at::Tensor& displacement) const;

  at::Tensor entering_;
  at::Tensor out_, in_;  // float64, undefined: that side is free
};

}  // namespace palimpsest::training
