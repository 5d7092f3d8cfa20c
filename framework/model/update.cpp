#include "model/update.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.hpp"

namespace palimpsest::model {
namespace {

at::Tensor recorded(const at::Tensor& tensor, std::string_view parameter, std::string_view what) {
  if (tensor.scalar_type() != at::kFloat && tensor.scalar_type() != at::kDouble) {
    fail(ErrorCode::kInvalidArgument, "update of ", parameter, ": ", what, " is ", at::toString(tensor.scalar_type()),
         "; expected float32 or float64");
  }
  const c10::NoGradGuard no_grad;
  // A clone: what an editor keeps hold of must not change a recorded update.
  const at::Tensor made = tensor.detach().to(at::kCPU, at::kFloat).contiguous().clone();
  if (!at::isfinite(made).all().item<bool>()) {
    fail(ErrorCode::kNumeric, "update of ", parameter, ": ", what, " holds NaN or infinity");
  }
  return made;
}

}  // namespace

std::int64_t Update::rank() const { return u.defined() ? u.size(1) : 0; }

double Update::norm() const {
  const c10::NoGradGuard no_grad;
  if (!u.defined()) return dense.to(at::kDouble).norm().item<double>();
  const at::Tensor a = u.to(at::kDouble), b = v.to(at::kDouble);
  // |U V^T|^2 = sum (U^T U) * (V^T V)
  return at::sqrt((a.t().mm(a) * b.t().mm(b)).sum().clamp_min(0)).item<double>();
}

Update make_low_rank(const Parameters& parameters, std::string_view parameter, const at::Tensor& u,
                     const at::Tensor& v) {
  const at::Tensor& weight = parameters.at(parameter);
  if (weight.dim() != 2 || u.dim() != 2 || v.dim() != 2 || u.size(1) != v.size(1) || u.size(0) != weight.size(0) ||
      v.size(0) != weight.size(1)) {
    fail(ErrorCode::kInvalidArgument, "update of ", parameter, " ", weight.sizes(), ": U is ", u.sizes(), " and V ",
         v.sizes(), "; expected [out, r] and [in, r] of a matrix [out, in]");
  }
  return {std::string(parameter), recorded(u, parameter, "U"), recorded(v, parameter, "V"), {}};
}

Update make_dense(const Parameters& parameters, std::string_view parameter, const at::Tensor& delta) {
  const at::Tensor& weight = parameters.at(parameter);
  if (delta.sizes() != weight.sizes()) {
    fail(ErrorCode::kInvalidArgument, "update of ", parameter, " is ", delta.sizes(), "; the parameter is ",
         weight.sizes());
  }
  return {std::string(parameter), {}, {}, recorded(delta, parameter, "the delta")};
}

Parameters apply(const Parameters& parameters, const Update& update) {
  const c10::NoGradGuard no_grad;
  const at::Tensor& weight = parameters.at(update.parameter);
  const at::Tensor sum = weight.to(at::kFloat);
  const at::Tensor changed = update.u.defined()
                                 ? at::addmm(sum, update.u.to(weight.device()), update.v.to(weight.device()).t())
                                 : at::add(sum, update.dense.to(weight.device()));
  at::Tensor rounded = changed.to(weight.scalar_type()).contiguous();
  if (!at::isfinite(rounded).all().item<bool>()) {
    fail(ErrorCode::kNumeric, "the update of ", update.parameter, " leaves weights that are not finite");
  }
  return parameters.with(update.parameter, std::move(rounded));
}

}  // namespace palimpsest::model
