// Inner loops of a forward and backward pass on the CPU, each one pass over memory where a chain of tensor operations
// takes several: RMS norm, rotation, gated SiLU, causal softmax, and the softmax of a loss with its gradient.
//
// Plain functions over rows in memory, without tensors and threads: a caller splits the rows. A row's result depends on
// that row alone, so neither the split nor the number of threads shows in it. Values are held in float32 or bfloat16
// and computed in float32; NaN and infinity come out as NaN or infinity. Compiled for several instruction sets, of
// which the program takes the processor's when it starts. Thread-safe.
#pragma once

#include <cstdint>

namespace palimpsest::model::kernels {

// The upper half of a float32; laid out as at::BFloat16.
struct Bfloat16 {
  std::uint16_t bits;
};

// y = weight * x / sqrt(mean(x^2) + eps) for `rows` rows of `width`; inverses[row] = 1 / sqrt(mean(x^2) + eps).
void rms_norm(const float* x, const float* weight, float eps, std::int64_t rows, std::int64_t width, float* y,
              float* inverses);
void rms_norm(const float* x, const float* weight, float eps, std::int64_t rows, std::int64_t width, Bfloat16* y,
              float* inverses);
// Its gradients. dx is written, dweight [width] is added to; either may be null.
void rms_norm_backward(const float* dy, const float* x, const float* weight, const float* inverses, std::int64_t rows,
                       std::int64_t width, float* dx, float* dweight);
void rms_norm_backward(const Bfloat16* dy, const float* x, const float* weight, const float* inverses,
                       std::int64_t rows, std::int64_t width, float* dx, float* dweight);

// Turns pairs (i, i + half) of every head by the angles of its token: x, y [tokens, heads, width], cosines and sines
// [tokens, half]. Coordinates from 2 half on are copied. `sign` -1 turns back.
void rotate_halves(const float* x, const float* cosines, const float* sines, float sign, std::int64_t tokens,
                   std::int64_t heads, std::int64_t width, std::int64_t half, float* y);
void rotate_halves(const Bfloat16* x, const float* cosines, const float* sines, float sign, std::int64_t tokens,
                   std::int64_t heads, std::int64_t width, std::int64_t half, Bfloat16* y);

// key = silu(gate) * up, silu(x) = x / (1 + exp(-x)). `key` may be `gate` or `up`.
void gated_silu(const float* gate, const float* up, std::int64_t count, float* key);
void gated_silu(const Bfloat16* gate, const Bfloat16* up, std::int64_t count, Bfloat16* key);
void gated_silu_backward(const float* dkey, const float* gate, const float* up, std::int64_t count, float* dgate,
                         float* dup);
void gated_silu_backward(const Bfloat16* dkey, const Bfloat16* gate, const Bfloat16* up, std::int64_t count,
                         Bfloat16* dgate, Bfloat16* dup);

// scores [tokens, tokens] -> softmax of scale * scores over the columns 0 .. row, 0 beyond; in place.
void causal_softmax(float* scores, float scale, std::int64_t tokens);
// d_weights -> d loss / d scores, in place; `weights` is what causal_softmax made.
void causal_softmax_backward(const float* weights, float* d_weights, float scale, std::int64_t tokens);

// log softmax(logits)[target] of one row. With `scratch` (float32, as long as the row) the logits are replaced by
// share * (softmax(logits) - onehot(target)), the gradient of -share times that; null: they stay.
float target_logprob(float* logits, std::int64_t vocabulary, std::int64_t target, float share, float* scratch);
float target_logprob(Bfloat16* logits, std::int64_t vocabulary, std::int64_t target, float share, float* scratch);

}  // namespace palimpsest::model::kernels
