// autograd/1
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstddef>

#include "base/error.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

palimpsest_status grad(const palimpsest_host*, palimpsest_tensor loss, const palimpsest_tensor* inputs, size_t count,
                       palimpsest_tensor* gradients) {
  return guarded([&] {
    torch::autograd::variable_list wanted;
    for (size_t i = 0; i < count; ++i) wanted.push_back(tensor_of(inputs[i]));
    const auto made = torch::autograd::grad({tensor_of(loss)}, wanted, {}, std::nullopt, false, /*allow_unused=*/true);
    for (size_t i = 0; i < count; ++i) {
      gradients[i] = new_handle(made[i].defined() ? made[i] : at::zeros_like(wanted[i]));
    }
  });
}

palimpsest_status set_grad_enabled(const palimpsest_host*, int32_t enabled, int32_t* former) {
  return guarded([&] {
    *former = c10::GradMode::is_enabled() ? 1 : 0;
    c10::GradMode::set_enabled(enabled != 0);
  });
}

palimpsest_status require_grad(const palimpsest_host*, palimpsest_tensor tensor) {
  return guarded([&] { tensor_of(tensor).requires_grad_(true); });
}

}  // namespace

const palimpsest_autograd_v1& autograd_service() {
  static constexpr palimpsest_autograd_v1 kTable = {grad, set_grad_enabled, require_grad};
  return kTable;
}

}  // namespace palimpsest::plugin
