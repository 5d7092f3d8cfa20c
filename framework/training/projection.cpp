#include "training/projection.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.hpp"

namespace palimpsest::training {
namespace {

constexpr double kOrthonormal = 1e-4;

}  // namespace

DisplacementGuard::DisplacementGuard(std::string_view parameter, at::Tensor entering,
                                     const std::vector<Projection>& projections)
    : entering_(std::move(entering)) {
  const c10::NoGradGuard no_grad;
  if (entering_.dim() != 2) {
    fail(ErrorCode::kInvalidArgument, "projection of ", parameter, ": its shape is ", entering_.sizes(),
         "; only matrices can be projected");
  }
  for (const Projection& projection : projections) {
    const bool out = projection.side == Side::kOut;
    const std::int64_t height = entering_.size(out ? 0 : 1);
    const at::Tensor& basis = projection.basis;
    if (!basis.defined() || basis.dim() != 2 || basis.size(0) != height || basis.size(1) < 1 ||
        basis.size(1) > height) {
      fail(ErrorCode::kInvalidArgument, "projection of ", parameter, ", side ", out ? "out" : "in",
           ": expected a basis [", height, ", r] with r of 1 to ", height, ", found ",
           basis.defined() ? cat(basis.sizes()) : "no tensor");
    }
    const at::Tensor wide = basis.detach().to(entering_.device(), at::kDouble);
    const at::Tensor unit = at::eye(wide.size(1), wide.options());
    const auto error = (at::mm(wide.t(), wide) - unit).abs().max().item<double>();
    if (!(error <= kOrthonormal)) {
      fail(ErrorCode::kInvalidArgument, "projection of ", parameter, ", side ", out ? "out" : "in",
           ": the basis is not orthonormal, Q^T Q differs from the identity by ", error, "; expected at most ",
           kOrthonormal);
    }
    at::Tensor& kept = out ? out_ : in_;
    if (kept.defined()) {
      fail(ErrorCode::kInvalidArgument, "projection of ", parameter, ": side ", out ? "out" : "in", " is given twice");
    }
    // The basis came rounded, to float32 perhaps: the same space, orthonormal in float64.
    kept = std::get<0>(at::linalg_qr(wide));
  }
  if (projections.empty()) fail(ErrorCode::kInvalidArgument, "projection of ", parameter, ": no basis is given");
}

at::Tensor DisplacementGuard::inside(const at::Tensor& displacement) const {
  at::Tensor part;
  if (out_.defined()) part = at::mm(out_, at::mm(out_.t(), displacement));
  if (in_.defined()) {
    const at::Tensor rest = part.defined() ? displacement - part : displacement;
    const at::Tensor right = at::mm(at::mm(rest, in_), in_.t());
    part = part.defined() ? part + right : right;
  }
  return part;
}

void DisplacementGuard::apply(const at::Tensor& weight) const {
  const c10::NoGradGuard no_grad;
  const at::Tensor wide = weight.detach().to(at::kDouble);
  weight.copy_(wide - inside(wide - entering_.to(at::kDouble)));
}

double DisplacementGuard::leaked_share(const at::Tensor& weight) const {
  const c10::NoGradGuard no_grad;
  const at::Tensor displacement = weight.detach().to(at::kDouble) - entering_.to(at::kDouble);
  const auto whole = displacement.norm().item<double>();
  return whole > 0 ? inside(displacement).norm().item<double>() / whole : 0;
}

}  // namespace palimpsest::training
