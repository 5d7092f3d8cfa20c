#include "model/product.hpp"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <atomic>
#include <vector>

namespace palimpsest::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor rounded(const at::Tensor& x) { return x.to(at::kBFloat16); }
at::Tensor widened(const at::Tensor& x) { return x.to(at::kFloat); }
at::Tensor rows_of(const at::Tensor& x) {
  const std::int64_t width = x.size(-1);
  return x.reshape({width == 0 ? 0 : x.numel() / width, width});
}

// x [..., in], weight [out, in] and bias [out] or empty, rounded.
at::Tensor multiply(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor rows = widened(rows_of(x)), columns = widened(weight).t();
  const at::Tensor y = bias.numel() > 0 ? at::addmm(widened(bias), rows, columns) : at::mm(rows, columns);
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return rounded(y).view(shape);
}

// Keeps the factors in bfloat16 for the backward, where they are widened again: a layer's float32 copies would be as
// large as the whole model's.
class WidenedProduct : public torch::autograd::Function<WidenedProduct> {
 public:
  // An empty bias is none.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    const at::Tensor x_rounded = rounded(x), weight_rounded = rounded(weight);
    context->save_for_backward({context->needs_input_grad(1) ? x_rounded : at::Tensor(),
                                context->needs_input_grad(0) ? weight_rounded : at::Tensor()});
    context->saved_data["x_shape"] = x.sizes().vec();
    const std::array<const at::Tensor*, 3> arguments = {&x, &weight, &bias};
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      context->saved_data[kTypes[i]] = static_cast<std::int64_t>(arguments[i]->scalar_type());
    }
    return multiply(x_rounded, weight_rounded, rounded(bias));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const auto type = [&](std::size_t i) {
      return static_cast<at::ScalarType>(context->saved_data[kTypes[i]].toInt());
    };
    const at::Tensor d_rows = widened(rows_of(gradients[0]));
    variable_list result(3);
    if (context->needs_input_grad(0)) {
      result[0] = at::mm(d_rows, widened(weight)).view(context->saved_data["x_shape"].toIntVector()).to(type(0));
    }
    if (context->needs_input_grad(1)) result[1] = at::mm(d_rows.t(), widened(rows_of(x))).to(type(1));
    if (context->needs_input_grad(2)) result[2] = d_rows.sum(0).to(type(2));
    return result;
  }

 private:
  static constexpr std::array<const char*, 3> kTypes = {"x_type", "weight_type", "bias_type"};
};

enum class Pretended : std::uint8_t { kNothing, kYes, kNo };
std::atomic<Pretended> pretended = Pretended::kNothing;

// Without oneDNN there is no such operator, and no such kernel.
bool libtorch_multiplies_bfloat16() {
  const auto asked = c10::Dispatcher::singleton().findSchema({"mkldnn::_is_mkldnn_bf16_supported", ""});
  return asked && asked->typed<bool()>().call();
}

}  // namespace

bool multiplies_bfloat16() {
  static const bool found = libtorch_multiplies_bfloat16();
  const Pretended answer = pretended.load();
  return answer == Pretended::kNothing ? found : answer == Pretended::kYes;
}

void pretend_multiplies_bfloat16(std::optional<bool> answer) {
  pretended = !answer ? Pretended::kNothing : *answer ? Pretended::kYes : Pretended::kNo;
}

bool is_to_be_widened(const at::Tensor& x) {
  if (!x.device().is_cpu() || multiplies_bfloat16()) return false;
  const bool autocast = at::autocast::is_autocast_enabled(at::kCPU) && x.scalar_type() != at::kDouble;
  return (autocast ? at::autocast::get_autocast_dtype(at::kCPU) : x.scalar_type()) == at::kBFloat16;
}

at::Tensor widened_product(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  const at::Tensor added = bias ? *bias : at::empty({0}, x.options().requires_grad(false));
  if (c10::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad() || added.requires_grad())) {
    return WidenedProduct::apply(x, weight, added);
  }
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  return multiply(rounded(x), rounded(weight), rounded(added));
}

at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  // Factors of unlike types are libtorch's to cast or to refuse.
  const bool alike = at::autocast::is_autocast_enabled(at::kCPU) ||
                     (weight.scalar_type() == x.scalar_type() && (!bias || bias->scalar_type() == x.scalar_type()));
  return alike && is_to_be_widened(x) ? widened_product(x, weight, bias) : at::linear(x, weight, bias);
}

}  // namespace palimpsest::model
