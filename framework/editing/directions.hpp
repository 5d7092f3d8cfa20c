// The subspace that updates of one matrix live in: the directions in which they write (left vectors of U V^T, outputs)
// or which they read (right vectors, inputs). What a freeze policy keeps fixed, and what a metric measures drift
// against.
//
// Pure functions in float64, deterministic.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace palimpsest::editing {

// An update of a matrix [out, in]: u [out, r] and v [in, r], or dense [out, in].
struct MatrixUpdate {
  at::Tensor u, v, dense;
};

enum class DirectionSide {
  kOut,  // columns of the matrix: what is written
  kIn,   // rows of the matrix: what is read
};

// Orthonormal columns [out or in, n] that span the left (right) singular vectors of all the updates, at most as many as
// the matrix has rows (columns). Of a low-rank update these are all its directions, down to a millionth of its largest
// singular value; of a dense one the leading directions that together hold `dense_energy` of its squared norm. Throws
// sdk::Error(PALIMPSEST_INVALID_ARGUMENT) for no update, or only ones that are zero.
at::Tensor directions(const std::vector<MatrixUpdate>& updates, DirectionSide side, double dense_energy);

}  // namespace palimpsest::editing
