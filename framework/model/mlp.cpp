#include "model/mlp.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.hpp"

namespace palimpsest::model {
namespace {

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
  if (!gate.defined()) return activate(activation, std::move(up), in_place);
  at::Tensor active = activate(activation, std::move(gate), in_place);
  return in_place ? active.mul_(up) : active * up;
}

}  // namespace palimpsest::model
