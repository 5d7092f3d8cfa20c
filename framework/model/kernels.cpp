// Loops are written over kLanes independent sums or plain element by element, so that the compiler may use vector
// registers without reordering a sum behind our back. No torch header is included: this file alone is compiled with
// contraction to fused multiply-add.
#include "model/kernels.hpp"

#include <array>
#include <bit>
#include <cmath>

// g++ chooses among clones of a function by the processor; under sanitizers its resolvers run too early.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define PALIMPSEST_FOR_EACH_PROCESSOR \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), noinline))
#else
#define PALIMPSEST_FOR_EACH_PROCESSOR
#endif
// What a clone calls must become part of it, to be compiled for its processor.
#define PALIMPSEST_PART_OF_CLONE [[gnu::always_inline]] inline

namespace palimpsest::model::kernels {
namespace {

constexpr std::int64_t kLanes = 16;

PALIMPSEST_PART_OF_CLONE float load(float x) { return x; }
PALIMPSEST_PART_OF_CLONE float load(Bfloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16U);
}

PALIMPSEST_PART_OF_CLONE void store(float* place, float x) { *place = x; }
// Rounds to the nearest, ties to even.
PALIMPSEST_PART_OF_CLONE void store(Bfloat16* place, float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
  place->bits = static_cast<std::uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? 0x7FC0U : rounded);
}

// exp to about 1 ulp: 2^n by the exponent's bits times exp(r), |r| <= ln(2) / 2, by its Taylor polynomial. Arguments
// are clamped to where the result is a normal number, by their bits: comparing floats would keep the compiler from
// using vector registers, and lose NaN. Gives NaN for NaN and infinities.
PALIMPSEST_PART_OF_CLONE float exponential(float x) {
  constexpr float kLog2E = 1.44269504F, kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits
  constexpr auto kLeast = std::bit_cast<std::uint32_t>(-87.0F);
  constexpr auto kMost = std::bit_cast<std::int32_t>(88.0F);
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto above = static_cast<std::int32_t>(bits > kLeast ? kLeast : bits);
  const auto clamped = std::bit_cast<float>(above > kMost ? kMost : above);
  const float shifted = clamped * kLog2E + kRounder;
  const float n = shifted - kRounder;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + (1.0F + 0.0F * x);  // NaN for what the clamp hid
  return p * std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) << 23U) + 0x3F800000U);
}

// Floats as integers in the same order; NaN of positive sign lies above infinity.
PALIMPSEST_PART_OF_CLONE std::int32_t ordered(std::int32_t bits) { return bits ^ ((bits >> 31) & 0x7FFFFFFF); }

PALIMPSEST_PART_OF_CLONE float logistic(float x) { return 1.0F / (1.0F + exponential(-x)); }

// In blocks, whose sums are added up in float64: a softmax over a vocabulary is one large term and tens of thousands of
// small ones, which one float32 sum loses beside it. Of a probability near 1 that costs what 1 - p has of digits.
template <typename Term>
PALIMPSEST_PART_OF_CLONE float sum_of(std::int64_t count, Term term) {
  constexpr std::int64_t kBlock = 32 * kLanes;
  double total = 0;
  std::int64_t i = 0;
  while (i + kLanes <= count) {
    const std::int64_t end = i + kBlock <= count ? i + kBlock : count;
    std::array<float, kLanes> lanes{};
    for (; i + kLanes <= end; i += kLanes) {
      for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[static_cast<std::size_t>(lane)] += term(i + lane);
    }
    float block = 0;
    for (const float lane : lanes) block += lane;
    total += block;
  }
  for (; i < count; ++i) total += term(i);
  return static_cast<float>(total);
}

template <typename Value>
PALIMPSEST_PART_OF_CLONE float largest_of(const Value* values, std::int64_t count) {
  std::int32_t most = ordered(std::bit_cast<std::int32_t>(load(values[0])));
  for (std::int64_t i = 1; i < count; ++i) {
    const std::int32_t value = ordered(std::bit_cast<std::int32_t>(load(values[i])));
    most = value > most ? value : most;
  }
  return std::bit_cast<float>(ordered(most));
}

template <typename Y>
PALIMPSEST_PART_OF_CLONE void rms_norm_rows(const float* x, const float* weight, float eps, std::int64_t rows,
                                            std::int64_t width, Y* y, float* inverses) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* a = x + row * width;
    Y* out = y + row * width;
    const float squares = sum_of(width, [a](std::int64_t i) { return a[i] * a[i]; });
    const float scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + eps);
    inverses[row] = scale;
    for (std::int64_t i = 0; i < width; ++i) store(out + i, weight[i] * (a[i] * scale));
  }
}

template <typename Y>
PALIMPSEST_PART_OF_CLONE void rms_norm_backward_rows(const Y* dy, const float* x, const float* weight,
                                                     const float* inverses, std::int64_t rows, std::int64_t width,
                                                     float* dx, float* dweight) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* a = x + row * width;
    const Y* g = dy + row * width;
    const float scale = inverses[row];
    if (dx != nullptr) {
      const float dot = sum_of(width, [a, g, weight](std::int64_t i) { return load(g[i]) * weight[i] * a[i]; });
      const float along = scale * scale * scale * dot / static_cast<float>(width);
      float* out = dx + row * width;
      for (std::int64_t i = 0; i < width; ++i) out[i] = load(g[i]) * weight[i] * scale - a[i] * along;
    }
    if (dweight != nullptr) {
      for (std::int64_t i = 0; i < width; ++i) dweight[i] += load(g[i]) * (a[i] * scale);
    }
  }
}

template <typename Value>
PALIMPSEST_PART_OF_CLONE void rotate_all(const Value* x, const float* cosines, const float* sines, float sign,
                                         std::int64_t tokens, std::int64_t heads, std::int64_t width, std::int64_t half,
                                         Value* y) {
  for (std::int64_t token = 0; token < tokens; ++token) {
    const float* c = cosines + token * half;
    const float* s = sines + token * half;
    for (std::int64_t head = 0; head < heads; ++head) {
      const Value* a = x + (token * heads + head) * width;
      Value* out = y + (token * heads + head) * width;
      for (std::int64_t i = 0; i < half; ++i) {
        const float first = load(a[i]), second = load(a[i + half]), sine = sign * s[i];
        store(out + i, first * c[i] - second * sine);
        store(out + i + half, second * c[i] + first * sine);
      }
      for (std::int64_t i = 2 * half; i < width; ++i) out[i] = a[i];
    }
  }
}

template <typename Value>
PALIMPSEST_PART_OF_CLONE void gated_silu_all(const Value* gate, const Value* up, std::int64_t count, Value* key) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = load(gate[i]);
    store(key + i, g * logistic(g) * load(up[i]));
  }
}

template <typename Value>
PALIMPSEST_PART_OF_CLONE void gated_silu_backward_all(const Value* dkey, const Value* gate, const Value* up,
                                                      std::int64_t count, Value* __restrict dgate,
                                                      Value* __restrict dup) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float d = load(dkey[i]), g = load(gate[i]), sigma = logistic(g), silu = g * sigma;
    store(dup + i, d * silu);
    store(dgate + i, d * load(up[i]) * (sigma + silu * (1.0F - sigma)));
  }
}

template <typename Value>
PALIMPSEST_PART_OF_CLONE float target_logprob_of(Value* logits, std::int64_t vocabulary, std::int64_t target,
                                                 float share, float* scratch) {
  const float most = largest_of(logits, vocabulary), chosen = load(logits[target]);
  if (scratch == nullptr) {
    return chosen - most -
           std::log(sum_of(vocabulary, [=](std::int64_t i) { return exponential(load(logits[i]) - most); }));
  }
  const float sum = sum_of(vocabulary, [=](std::int64_t i) {
    const float e = exponential(load(logits[i]) - most);
    scratch[i] = e;
    return e;
  });
  const float scale = share / sum;
  for (std::int64_t i = 0; i < vocabulary; ++i) store(logits + i, scratch[i] * scale);
  store(logits + target, scratch[target] * scale - share);
  return chosen - most - std::log(sum);
}

}  // namespace

PALIMPSEST_FOR_EACH_PROCESSOR
void rms_norm(const float* x, const float* weight, float eps, std::int64_t rows, std::int64_t width, float* y,
              float* inverses) {
  rms_norm_rows(x, weight, eps, rows, width, y, inverses);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void rms_norm(const float* x, const float* weight, float eps, std::int64_t rows, std::int64_t width, Bfloat16* y,
              float* inverses) {
  rms_norm_rows(x, weight, eps, rows, width, y, inverses);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void rms_norm_backward(const float* dy, const float* x, const float* weight, const float* inverses, std::int64_t rows,
                       std::int64_t width, float* dx, float* dweight) {
  rms_norm_backward_rows(dy, x, weight, inverses, rows, width, dx, dweight);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void rms_norm_backward(const Bfloat16* dy, const float* x, const float* weight, const float* inverses,
                       std::int64_t rows, std::int64_t width, float* dx, float* dweight) {
  rms_norm_backward_rows(dy, x, weight, inverses, rows, width, dx, dweight);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void rotate_halves(const float* x, const float* cosines, const float* sines, float sign, std::int64_t tokens,
                   std::int64_t heads, std::int64_t width, std::int64_t half, float* y) {
  rotate_all(x, cosines, sines, sign, tokens, heads, width, half, y);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void rotate_halves(const Bfloat16* x, const float* cosines, const float* sines, float sign, std::int64_t tokens,
                   std::int64_t heads, std::int64_t width, std::int64_t half, Bfloat16* y) {
  rotate_all(x, cosines, sines, sign, tokens, heads, width, half, y);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void gated_silu(const float* gate, const float* up, std::int64_t count, float* key) {
  gated_silu_all(gate, up, count, key);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void gated_silu(const Bfloat16* gate, const Bfloat16* up, std::int64_t count, Bfloat16* key) {
  gated_silu_all(gate, up, count, key);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void gated_silu_backward(const float* dkey, const float* gate, const float* up, std::int64_t count, float* dgate,
                         float* dup) {
  gated_silu_backward_all(dkey, gate, up, count, dgate, dup);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void gated_silu_backward(const Bfloat16* dkey, const Bfloat16* gate, const Bfloat16* up, std::int64_t count,
                         Bfloat16* dgate, Bfloat16* dup) {
  gated_silu_backward_all(dkey, gate, up, count, dgate, dup);
}

PALIMPSEST_FOR_EACH_PROCESSOR
void causal_softmax(float* scores, float scale, std::int64_t tokens) {
  for (std::int64_t row = 0; row < tokens; ++row) {
    float* line = scores + row * tokens;
    const std::int64_t seen = row + 1;
    const float most = largest_of(line, seen);
    const float sum = sum_of(seen, [=](std::int64_t i) {
      line[i] = exponential((line[i] - most) * scale);
      return line[i];
    });
    const float inverse = 1.0F / sum;
    for (std::int64_t i = 0; i < seen; ++i) line[i] *= inverse;
    for (std::int64_t i = seen; i < tokens; ++i) line[i] = 0.0F;
  }
}

PALIMPSEST_FOR_EACH_PROCESSOR
void causal_softmax_backward(const float* weights, float* d_weights, float scale, std::int64_t tokens) {
  for (std::int64_t row = 0; row < tokens; ++row) {
    const float* p = weights + row * tokens;
    float* d = d_weights + row * tokens;
    const std::int64_t seen = row + 1;
    const float dot = sum_of(seen, [p, d](std::int64_t i) { return p[i] * d[i]; });
    for (std::int64_t i = 0; i < seen; ++i) d[i] = scale * p[i] * (d[i] - dot);
    for (std::int64_t i = seen; i < tokens; ++i) d[i] = 0.0F;
  }
}

PALIMPSEST_FOR_EACH_PROCESSOR
float target_logprob(float* logits, std::int64_t vocabulary, std::int64_t target, float share, float* scratch) {
  return target_logprob_of(logits, vocabulary, target, share, scratch);
}

PALIMPSEST_FOR_EACH_PROCESSOR
float target_logprob(Bfloat16* logits, std::int64_t vocabulary, std::int64_t target, float share, float* scratch) {
  return target_logprob_of(logits, vocabulary, target, share, scratch);
}

}  // namespace palimpsest::model::kernels
