// Adam (Kingma & Ba 2015, algorithm 1) on one tensor: what every v* optimisation uses.
#pragma once

#include <ATen/core/Tensor.h>

namespace palimpsest::editing {

// State of one optimised tensor. Defaults are the field's: beta1 0.9, beta2 0.999, epsilon 1e-8.
class Adam {
 public:
  explicit Adam(double learning_rate) : learning_rate_(learning_rate) {}
  // parameter -= learning_rate * m_hat / (sqrt(v_hat) + epsilon), in place, without graph.
  void step(const at::Tensor& parameter, const at::Tensor& gradient);

 private:
  double learning_rate_;
  std::int64_t steps_ = 0;
  at::Tensor m_, v_;
};

}  // namespace palimpsest::editing
