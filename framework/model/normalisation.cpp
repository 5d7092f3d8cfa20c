// On the CPU in float32 the RMS norm is one pass forward and one backward, instead of a chain of element-wise ones.
#include "model/normalisation.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <cmath>

namespace palimpsest::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Sums kept apart, so that the compiler may use vector registers without reordering a sum behind our back.
constexpr std::int64_t kLanes = 16;
// Rows whose weight gradients are summed together: fixed, so that the result does not depend on the number of threads.
constexpr std::int64_t kBlockRows = 64;

template <typename Term>
float sum_of(std::int64_t count, Term term) {
  std::array<float, kLanes> lanes{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[static_cast<std::size_t>(lane)] += term(i + lane);
  }
  float total = 0;
  for (const float lane : lanes) total += lane;
  for (; i < count; ++i) total += term(i);
  return total;
}

bool has_fast_kernel(const at::Tensor& x, const at::Tensor& weight) {
  return x.device().is_cpu() && weight.device().is_cpu() && x.scalar_type() == at::kFloat &&
         weight.scalar_type() == at::kFloat && x.numel() > 0;
}

// x, y [rows, width] contiguous. Gives 1 / rms of every row.
at::Tensor rms_forward(const at::Tensor& x, const at::Tensor& weight, double eps, at::Tensor& y) {
  const std::int64_t width = x.size(-1), rows = x.numel() / width;
  at::Tensor inverse = at::empty({rows}, x.options());
  y = at::empty_like(x);
  const float* xs = x.const_data_ptr<float>();
  const float* w = weight.const_data_ptr<float>();
  float* ys = y.mutable_data_ptr<float>();
  float* inverses = inverse.mutable_data_ptr<float>();
  at::parallel_for(0, rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* a = xs + row * width;
      float* out = ys + row * width;
      const float squares = sum_of(width, [a](std::int64_t i) { return a[i] * a[i]; });
      const float scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + static_cast<float>(eps));
      inverses[row] = scale;
      for (std::int64_t i = 0; i < width; ++i) out[i] = w[i] * (a[i] * scale);
    }
  });
  return inverse;
}

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double eps) {
    const at::Tensor input = x.contiguous(), scale = weight.contiguous();
    at::Tensor y;
    const at::Tensor inverse = rms_forward(input, scale, eps, y);
    context->save_for_backward({input, scale, inverse});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &inverse = saved[2];
    const at::Tensor dy = gradients[0].to(at::kFloat).contiguous();
    const bool want_x = context->needs_input_grad(0), want_weight = context->needs_input_grad(1);
    const std::int64_t width = x.size(-1), rows = x.numel() / width;
    const std::int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
    at::Tensor dx = want_x ? at::empty_like(x) : at::Tensor();
    at::Tensor partial = want_weight ? at::zeros({blocks, width}, x.options()) : at::Tensor();
    const float* xs = x.const_data_ptr<float>();
    const float* w = weight.const_data_ptr<float>();
    const float* inverses = inverse.const_data_ptr<float>();
    const float* dys = dy.const_data_ptr<float>();
    float* dxs = want_x ? dx.mutable_data_ptr<float>() : nullptr;
    float* dws = want_weight ? partial.mutable_data_ptr<float>() : nullptr;
    at::parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin * kBlockRows; row < std::min(end * kBlockRows, rows); ++row) {
        const float* a = xs + row * width;
        const float* g = dys + row * width;
        const float scale = inverses[row];
        if (want_x) {
          const float dot = sum_of(width, [a, g, w](std::int64_t i) { return g[i] * w[i] * a[i]; });
          const float along = scale * scale * scale * dot / static_cast<float>(width);
          float* out = dxs + row * width;
          for (std::int64_t i = 0; i < width; ++i) out[i] = g[i] * w[i] * scale - a[i] * along;
        }
        if (want_weight) {
          float* sum = dws + row / kBlockRows * width;
          for (std::int64_t i = 0; i < width; ++i) sum[i] += g[i] * (a[i] * scale);
        }
      }
    });
    return {dx, want_weight ? partial.sum(0) : at::Tensor(), at::Tensor()};
  }
};

at::ScalarType accumulation_dtype(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor for_products(const at::Tensor& y) {
  const at::DeviceType device = y.device().type();
  if (!at::autocast::is_autocast_enabled(device) || y.scalar_type() != at::kFloat) return y;
  return y.to(at::autocast::get_autocast_dtype(device));
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (has_fast_kernel(x, weight)) {
    if (at::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad())) {
      return for_products(RmsNorm::apply(x, weight, eps));
    }
    at::Tensor y;
    rms_forward(x.contiguous(), weight.contiguous(), eps, y);
    return for_products(y);
  }
  const at::Tensor wide = x.to(accumulation_dtype(x));
  const at::Tensor scaled = wide * at::rsqrt(wide.square().mean(-1, true) + eps);
  return for_products(weight * scaled.to(x.scalar_type()));
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  return for_products(at::layer_norm(x, {x.size(-1)}, weight, bias, eps).to(x.scalar_type()));
}

}  // namespace palimpsest::model
