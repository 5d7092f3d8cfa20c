// On the CPU in float32 the RMS norm is one pass forward and one backward, instead of a chain of element-wise ones, and
// writes bfloat16 itself where autocast wants it.
#include "model/normalisation.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "model/kernels.hpp"

namespace palimpsest::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows whose weight gradients are summed together: fixed, so that the result does not depend on the number of threads.
constexpr std::int64_t kBlockRows = 64;

bool has_fast_kernel(const at::Tensor& x, const at::Tensor& weight) {
  return x.device().is_cpu() && weight.device().is_cpu() && x.scalar_type() == at::kFloat &&
         weight.scalar_type() == at::kFloat && x.numel() > 0;
}

// The dtype in which products will read the norm's result.
at::ScalarType product_dtype(const at::Tensor& y) {
  const at::DeviceType device = y.device().type();
  if (!at::autocast::is_autocast_enabled(device) || y.scalar_type() != at::kFloat) return y.scalar_type();
  return at::autocast::get_autocast_dtype(device);
}

// x, y [rows, width] contiguous, y in float32 or bfloat16. Gives 1 / rms of every row.
at::Tensor rms_forward(const at::Tensor& x, const at::Tensor& weight, double eps, at::Tensor& y) {
  const std::int64_t width = x.size(-1), rows = x.numel() / width;
  at::Tensor inverse = at::empty({rows}, x.options());
  const float* xs = x.const_data_ptr<float>();
  const float* w = weight.const_data_ptr<float>();
  float* inverses = inverse.mutable_data_ptr<float>();
  const auto run = [&](auto* ys) {
    at::parallel_for(0, rows, 16, [&](std::int64_t begin, std::int64_t end) {
      kernels::rms_norm(xs + begin * width, w, static_cast<float>(eps), end - begin, width, ys + begin * width,
                        inverses + begin);
    });
  };
  if (y.scalar_type() == at::kBFloat16) {
    run(static_cast<kernels::Bfloat16*>(y.mutable_data_ptr()));
  } else {
    run(y.mutable_data_ptr<float>());
  }
  return inverse;
}

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double eps,
                            at::ScalarType dtype) {
    const at::Tensor input = x.contiguous(), scale = weight.contiguous();
    at::Tensor y = at::empty(input.sizes(), input.options().dtype(dtype));
    const at::Tensor inverse = rms_forward(input, scale, eps, y);
    context->save_for_backward({input, scale, inverse});
    context->saved_data["dtype"] = static_cast<std::int64_t>(dtype);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &inverse = saved[2];
    const auto dtype = static_cast<at::ScalarType>(context->saved_data["dtype"].toInt());
    const at::Tensor dy = gradients[0].to(dtype).contiguous();
    const bool want_x = context->needs_input_grad(0), want_weight = context->needs_input_grad(1);
    const std::int64_t width = x.size(-1), rows = x.numel() / width;
    const std::int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
    at::Tensor dx = want_x ? at::empty_like(x) : at::Tensor();
    at::Tensor partial = want_weight ? at::zeros({blocks, width}, x.options()) : at::Tensor();
    const float* xs = x.const_data_ptr<float>();
    const float* w = weight.const_data_ptr<float>();
    const float* inverses = inverse.const_data_ptr<float>();
    float* dxs = want_x ? dx.mutable_data_ptr<float>() : nullptr;
    float* dws = want_weight ? partial.mutable_data_ptr<float>() : nullptr;
    const auto run = [&](const auto* dys) {
      at::parallel_for(0, blocks, 1, [&](std::int64_t first_block, std::int64_t end_block) {
        for (std::int64_t block = first_block; block < end_block; ++block) {
          const std::int64_t begin = block * kBlockRows, count = std::min(kBlockRows, rows - begin);
          kernels::rms_norm_backward(dys + begin * width, xs + begin * width, w, inverses + begin, count, width,
                                     want_x ? dxs + begin * width : nullptr,
                                     want_weight ? dws + block * width : nullptr);
        }
      });
    };
    if (dtype == at::kBFloat16) {
      run(static_cast<const kernels::Bfloat16*>(dy.const_data_ptr()));
    } else {
      run(dy.const_data_ptr<float>());
    }
    return {dx, want_weight ? partial.sum(0) : at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::ScalarType accumulation_dtype(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor for_products(const at::Tensor& y) { return y.to(product_dtype(y)); }

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::ScalarType dtype = product_dtype(x);
  if (has_fast_kernel(x, weight) && (dtype == at::kFloat || dtype == at::kBFloat16)) {
    if (at::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad())) {
      return RmsNorm::apply(x, weight, eps, dtype);
    }
    at::Tensor y = at::empty(x.sizes(), x.options().dtype(dtype));
    rms_forward(x.contiguous(), weight.contiguous(), eps, y);
    return y;
  }
  const at::Tensor wide = x.to(accumulation_dtype(x));
  const at::Tensor scaled = wide * at::rsqrt(wide.square().mean(-1, true) + eps);
  return for_products(weight * scaled.to(x.scalar_type()));
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  // In float32 for bfloat16 too: at::layer_norm would add up the gradients of weight and bias in bfloat16, where a sum
  // of ones stops at 256.
  const at::ScalarType wide = accumulation_dtype(x);
  const auto widened = [&](const at::Tensor& t) { return t.defined() ? t.to(wide) : t; };
  const at::Tensor y = at::layer_norm(widened(x), {x.size(-1)}, widened(weight), widened(bias), eps);
  return for_products(y.to(x.scalar_type()));
}

}  // namespace palimpsest::model
