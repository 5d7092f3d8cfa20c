// Stochastic rounding of float32 to bfloat16 (Gupta et al. 2015, arXiv 1502.02551, section 3.1; of weights in bfloat16:
// Zamirai et al. 2020, arXiv 2010.06192).
//
// A value between two neighbours of bfloat16 becomes the upper one with the probability that is its distance from the
// lower one in units of their distance, so that it is rounded right on average: steps far below a weight's last place
// move it as far as they should, which rounding to the nearest would undo each time. What bfloat16 holds stays, as do
// NaN and infinity.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/rng.hpp"

namespace palimpsest::training {

// Writes `values` [n], float32, into `rounded` [n], bfloat16 on the same device; `values` is scratch afterwards, both
// are contiguous. Value i takes the half-word first + i of the stream: neither the parts in which a tensor is rounded
// nor the number of threads shows in the result. 16 random bits decide, so the probability is exact.
void round_stochastically(const at::Tensor& values, const at::Tensor& rounded, const Rng& stream, std::int64_t first);

}  // namespace palimpsest::training
