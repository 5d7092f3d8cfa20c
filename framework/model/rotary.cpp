#include "model/rotary.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numbers>

#include "model/kernels.hpp"

namespace palimpsest::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor frequencies(const RotaryConfig& rotary, std::int64_t head_dim) {
  const auto turning = static_cast<std::int64_t>(static_cast<double>(head_dim) * rotary.fraction);
  const at::Tensor exponents = at::arange(0, turning, 2, at::kLong).to(at::kFloat) / static_cast<double>(turning);
  at::Tensor frequency = at::pow(rotary.theta, exponents).reciprocal();
  if (rotary.scaling == RotaryScaling::kLinear) return frequency / rotary.factor;
  if (rotary.scaling == RotaryScaling::kLlama3) {
    // Slow pairs (few turns over the original context) are slowed by `factor`, fast ones stay, those between are
    // blended.
    const auto original = static_cast<double>(rotary.original_max_positions);
    float* values = frequency.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < frequency.numel(); ++i) {
      const double turns = original * static_cast<double>(values[i]) / (2.0 * std::numbers::pi);
      if (turns > rotary.high_freq_factor) continue;
      if (turns < rotary.low_freq_factor) {
        values[i] = static_cast<float>(values[i] / rotary.factor);
        continue;
      }
      const double keep = (turns - rotary.low_freq_factor) / (rotary.high_freq_factor - rotary.low_freq_factor);
      values[i] = static_cast<float>((1.0 - keep) * values[i] / rotary.factor + keep * values[i]);
    }
  }
  return frequency;
}

// The pairs' first and second members, as views [n, heads, turning / 2].
std::pair<at::Tensor, at::Tensor> members(const at::Tensor& x, std::int64_t half, RotaryLayout layout) {
  if (layout == RotaryLayout::kHalf) return {x.narrow(-1, 0, half), x.narrow(-1, half, half)};
  return {x.slice(-1, 0, 2 * half, 2), x.slice(-1, 1, 2 * half, 2)};
}

// One pass over x, in float32 whatever x is stored in.
template <typename Value>
void turn_halves(const at::Tensor& x, const RotaryTable& table, float sign, at::Tensor& out) {
  const std::int64_t tokens = x.size(0), heads = x.size(1), width = x.size(2), half = table.cos.size(1);
  const auto* xs = static_cast<const Value*>(x.const_data_ptr());
  const float* cosines = table.cos.const_data_ptr<float>();
  const float* sines = table.sin.const_data_ptr<float>();
  auto* outs = static_cast<Value*>(out.mutable_data_ptr());
  at::parallel_for(0, tokens, 32, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t offset = begin * heads * width;
    kernels::rotate_halves(xs + offset, cosines + begin * half, sines + begin * half, sign, end - begin, heads, width,
                           half, outs + offset);
  });
}

// sign -1 turns back: the inverse, which is also the transpose that the backward needs.
at::Tensor turn(const at::Tensor& x, const RotaryTable& table, float sign) {
  const bool narrow = x.scalar_type() == at::kBFloat16;
  if (x.device().is_cpu() && (narrow || x.scalar_type() == at::kFloat) && table.layout == RotaryLayout::kHalf) {
    at::Tensor out = at::empty(x.sizes(), x.options());
    if (narrow) {
      turn_halves<kernels::Bfloat16>(x.contiguous(), table, sign, out);
    } else {
      turn_halves<float>(x.contiguous(), table, sign, out);
    }
    return out;
  }
  const std::int64_t half = table.cos.size(1);
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor cosine = table.cos.unsqueeze(1).to(wide);
  const at::Tensor sine = (table.sin * sign).unsqueeze(1).to(wide);
  at::Tensor out = at::empty(x.sizes(), x.options());
  const auto [first, second] = members(x, half, table.layout);
  const auto [out_first, out_second] = members(out, half, table.layout);
  out_first.copy_(first * cosine - second * sine);
  out_second.copy_(second * cosine + first * sine);
  const std::int64_t rest = x.size(2) - 2 * half;
  if (rest > 0) out.narrow(-1, 2 * half, rest).copy_(x.narrow(-1, 2 * half, rest));
  return out;
}

class Rotate : public torch::autograd::Function<Rotate> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                            std::int64_t layout) {
    const RotaryTable table{cos, sin, static_cast<RotaryLayout>(layout)};
    context->save_for_backward({cos, sin});
    context->saved_data["layout"] = layout;
    return turn(x, table, 1.0F);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const RotaryTable table{saved[0], saved[1], static_cast<RotaryLayout>(context->saved_data["layout"].toInt())};
    return {turn(gradients[0], table, -1.0F), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

RotaryTable rotary_table(const RotaryConfig& rotary, std::int64_t head_dim, const at::Tensor& positions) {
  const at::Tensor frequency = frequencies(rotary, head_dim).to(positions.device());
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(1) * frequency.unsqueeze(0);
  return {angles.cos(), angles.sin(), rotary.layout};
}

at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) {
  if (at::GradMode::is_enabled() && x.requires_grad()) {
    return Rotate::apply(x, table.cos, table.sin, static_cast<std::int64_t>(table.layout));
  }
  return turn(x, table, 1.0F);
}

}  // namespace palimpsest::model
