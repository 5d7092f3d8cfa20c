// The machine's own rate of matrix products, measured beside what is benchmarked: the bound that shares refer to.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <limits>

namespace palimpsest::benchmarks {

// Flops per second of [1024, 1024] x [1024, 1024] in `dtype`, the best of several, under torch's settings at the call.
inline double gemm_rate(at::ScalarType dtype = at::kFloat) {
  constexpr std::int64_t kSize = 1024;
  constexpr int kTrials = 8;
  const c10::NoGradGuard no_grad;
  const at::Tensor a = at::ones({kSize, kSize}, dtype), b = at::ones({kSize, kSize}, dtype);
  at::Tensor out = at::mm(a, b);
  double best = std::numeric_limits<double>::infinity();
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto begin = std::chrono::steady_clock::now();
    at::mm_out(out, a, b);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return 2.0 * kSize * kSize * kSize / best;
}

}  // namespace palimpsest::benchmarks
