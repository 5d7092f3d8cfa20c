#include "model/mlp.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.hpp"
#include "model/kernels.hpp"

namespace palimpsest::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kGrain = 1 << 14;

// Calls kernel(zero of the kernels' type of value, begin, end) for the parts of `count` elements.
template <typename Kernel>
void for_elements(at::ScalarType dtype, std::int64_t count, Kernel kernel) {
  at::parallel_for(0, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (dtype == at::kBFloat16) {
      kernel(kernels::Bfloat16{}, begin, end);
    } else {
      kernel(float{}, begin, end);
    }
  });
}

void gated_silu_out(const at::Tensor& gate, const at::Tensor& up, at::Tensor& key) {
  for_elements(key.scalar_type(), key.numel(), [&]<typename Value>(Value, std::int64_t begin, std::int64_t end) {
    kernels::gated_silu(static_cast<const Value*>(gate.const_data_ptr()) + begin,
                        static_cast<const Value*>(up.const_data_ptr()) + begin, end - begin,
                        static_cast<Value*>(key.mutable_data_ptr()) + begin);
  });
}

// silu(gate) * up in one pass forward and one backward, which takes silu again from `gate` instead of keeping it.
class GatedSilu : public torch::autograd::Function<GatedSilu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    at::Tensor key = at::empty(gate.sizes(), gate.options());
    gated_silu_out(gate, up, key);
    context->save_for_backward({gate, up});
    return key;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &gate = saved[0], &up = saved[1];
    const at::Tensor dkey = gradients[0].to(gate.scalar_type()).contiguous();
    at::Tensor dgate = at::empty(gate.sizes(), gate.options()), dup = at::empty(up.sizes(), up.options());
    for_elements(gate.scalar_type(), gate.numel(), [&]<typename Value>(Value, std::int64_t begin, std::int64_t end) {
      kernels::gated_silu_backward(static_cast<const Value*>(dkey.const_data_ptr()) + begin,
                                   static_cast<const Value*>(gate.const_data_ptr()) + begin,
                                   static_cast<const Value*>(up.const_data_ptr()) + begin, end - begin,
                                   static_cast<Value*>(dgate.mutable_data_ptr()) + begin,
                                   static_cast<Value*>(dup.mutable_data_ptr()) + begin);
    });
    return {dgate, dup};
  }
};

bool has_fast_kernel(Activation activation, const at::Tensor& gate, const at::Tensor& up) {
  return activation == Activation::kSilu && gate.defined() && gate.device().is_cpu() &&
         (gate.scalar_type() == at::kFloat || gate.scalar_type() == at::kBFloat16) &&
         up.scalar_type() == gate.scalar_type() && gate.is_contiguous() && up.is_contiguous();
}

at::Tensor activate(Activation activation, at::Tensor x, bool in_place) {
  switch (activation) {
    case Activation::kSilu: return in_place ? at::silu_(x) : at::silu(x);
    case Activation::kGelu: return in_place ? at::gelu_(x, "none") : at::gelu(x, "none");
    case Activation::kGeluTanh: return in_place ? at::gelu_(x, "tanh") : at::gelu(x, "tanh");
    case Activation::kRelu: return in_place ? at::relu_(x) : at::relu(x);
  }
  fail(ErrorCode::kInternal, "no such activation: ", static_cast<int>(activation));
}

}  // namespace

at::Tensor mlp_key(Activation activation, at::Tensor gate, at::Tensor up) {
  const auto traced = [](const at::Tensor& x) { return x.defined() && x.requires_grad(); };
  const bool in_place = !at::GradMode::is_enabled() || (!traced(gate) && !traced(up));
  if (has_fast_kernel(activation, gate, up)) {
    if (!in_place) return GatedSilu::apply(gate, up);
    gated_silu_out(gate, up, gate);
    return gate;
  }
  if (!gate.defined()) return activate(activation, std::move(up), in_place);
  at::Tensor active = activate(activation, std::move(gate), in_place);
  return in_place ? active.mul_(up) : active * up;
}

}  // namespace palimpsest::model
