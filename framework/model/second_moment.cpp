#include "model/second_moment.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/error.hpp"
#include "model/work.hpp"

namespace palimpsest::model {
namespace {

// visit(begin, end) of each panel's columns.
template <typename Visit>
void for_each_panel(std::int64_t columns, Visit visit) {
  for (std::int64_t begin = 0; begin < columns; begin += kPanelColumns)
    visit(begin, std::min(begin + kPanelColumns, columns));
}

}  // namespace

SecondMoment::SecondMoment(at::Tensor sum, std::int64_t count, std::int64_t layer) : count_(count), layer_(layer) {
  if (sum.dim() != 2 || sum.size(0) != sum.size(1) || sum.scalar_type() != at::kDouble) {
    fail(ErrorCode::kInvalidArgument, "the second moment of layer ", layer, " is ", sum.sizes(), " of ",
         at::toString(sum.scalar_type()), "; expected a square float64 matrix");
  }
  if (count < 1) fail(ErrorCode::kInvalidArgument, "the second moment of layer ", layer, " is over ", count, " keys");
  mean_ = sum / static_cast<double>(count);
  if (!at::isfinite(mean_).all().item<bool>()) {
    fail(ErrorCode::kNumeric, "the second moment of layer ", layer, " holds NaN or infinity");
  }
}

at::Tensor SecondMoment::solve(double scale, const at::Tensor& rhs) const {
  const c10::NoGradGuard no_grad;
  if (rhs.dim() < 1 || rhs.dim() > 2 || rhs.size(0) != mean_.size(0)) {
    fail(ErrorCode::kInvalidArgument, "second moment of layer ", layer_, ": right-hand side ", rhs.sizes(),
         "; expected [", mean_.size(0), "] or [", mean_.size(0), ", n]");
  }
  if (!factor_.defined()) {
    auto [factor, info] = at::linalg_cholesky_ex(mean_);
    if (info.item<int>() != 0) {
      fail(ErrorCode::kNumeric, "the second moment of layer ", layer_, " is not positive definite: it is the mean of ",
           count_, " keys of ", mean_.size(0), " numbers; use more text (second_moments.tokens), several times ",
           mean_.size(0));
    }
    factor_ = factor;
  }
  count_work({.solves = 1});
  const at::Tensor columns = rhs.to(mean_.device(), at::kDouble).reshape({mean_.size(0), -1});
  return (at::cholesky_solve(columns, factor_) / scale).reshape(rhs.sizes()).to(rhs.device());
}

void add_keys(at::Tensor& sum, const at::Tensor& keys) {
  for_each_panel(sum.size(1), [&](std::int64_t begin, std::int64_t end) {
    const at::Tensor product = keys.slice(1, 0, end).t().mm(keys.slice(1, begin, end));
    sum.slice(0, 0, end).slice(1, begin, end).add_(product);
  });
}

void complete_sum(at::Tensor& sum) {
  for_each_panel(sum.size(1), [&](std::int64_t begin, std::int64_t end) {
    sum.slice(0, end).slice(1, begin, end).copy_(sum.slice(0, begin, end).slice(1, end).t());
  });
}

}  // namespace palimpsest::model
