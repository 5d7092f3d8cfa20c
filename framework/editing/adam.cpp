#include "editing/adam.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

namespace palimpsest::editing {

void Adam::step(const at::Tensor& parameter, const at::Tensor& gradient) {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
  const c10::NoGradGuard no_grad;
  if (steps_ == 0) {
    m_ = at::zeros_like(parameter);
    v_ = at::zeros_like(parameter);
  }
  ++steps_;
  m_.lerp_(gradient, 1 - kBeta1);
  v_.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
  const double correction1 = 1 - std::pow(kBeta1, static_cast<double>(steps_));
  const double correction2 = 1 - std::pow(kBeta2, static_cast<double>(steps_));
  const at::Tensor denominator = v_.sqrt().div_(std::sqrt(correction2)).add_(kEpsilon);
  parameter.addcdiv_(m_, denominator, -learning_rate_ / correction1);
}

}  // namespace palimpsest::editing
