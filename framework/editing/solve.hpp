// The linear algebra of editors, in float64: ridge solves for the keys of a batch, and the null space of a second
// moment. Pure functions of tensors but where the host's factor of C is used. Keys come from the model's device and
// what is solved for goes back to it; what involves a second moment is solved where that is, on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "palimpsest/sdk/host.hpp"

namespace palimpsest::editing {

// (lambda C + K K^T)^-1 K for keys K [mlp, n]: [mlp, n]. C is the layer's second moment, through the host's factor of
// it:
//   (lambda C + K K^T)^-1 K = X (I + K^T X)^-1  with  X = (lambda C)^-1 K   (Woodbury)
// which costs an n x n factor; with more keys than numbers in one, lambda C + K K^T itself is factored. Throws
// sdk::Error (PALIMPSEST_NUMERIC) when C is not positive definite, and (PALIMPSEST_OUT_OF_RANGE) unless lambda > 0.
at::Tensor ridge_keys(const sdk::Host& host, std::int64_t layer, double lambda, const at::Tensor& keys);

// The span of the eigenvectors of a second moment with small eigenvalues, kept factored: P = U U^T, or I - V V^T, by
// whichever of U and V is thinner. Immutable.
class NullSpace {
 public:
  // `moment` [mlp, mlp] float64, symmetric. Eigenvalues strictly below `threshold` belong to it.
  static NullSpace below(const at::Tensor& moment, double threshold);
  // As many of the smallest eigenvalues as together make at most this share of the trace.
  static NullSpace with_energy(const at::Tensor& moment, double share);
  // From what another one gave.
  NullSpace(at::Tensor eigenvalues, at::Tensor basis, bool complement);

  std::int64_t rank() const { return rank_; }
  // P x for x [mlp, n], float64.
  at::Tensor project(const at::Tensor& x) const;
  // Of the second moment, ascending, [mlp] float64.
  const at::Tensor& eigenvalues() const { return eigenvalues_; }
  // Orthonormal [mlp, r], of the null space or, where complement(), of what it leaves out.
  const at::Tensor& basis() const { return basis_; }
  bool complement() const { return complement_; }

 private:
  at::Tensor eigenvalues_;
  at::Tensor basis_;
  bool complement_ = false;
  std::int64_t rank_ = 0;
};

// The X [mlp, n] with which W + R X^T solves (P (K K^T + K_0 K_0^T) + l2 I) dW^T = P K R^T (Fang et al. 2025, equation
// 14): with A = P [K, K_0], X = A (A^T A + l2 I)^-1 [I; 0], because (A A^T + l2 I)^-1 A = A (A^T A + l2 I)^-1 and dW^T
// lies in P's range. `keys` K [mlp, n]; `earlier` K_0 [mlp, m] where the null space is, m may be 0; l2 > 0.
at::Tensor null_space_keys(const NullSpace& null_space, const at::Tensor& keys, const at::Tensor& earlier, double l2);

// A factor F with F F^T = K K^T and no more columns than rows: K itself, or a square one once K is wider than it is
// tall.
at::Tensor compressed_factor(const at::Tensor& keys);

}  // namespace palimpsest::editing
