#include "training/optimizer.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "base/error.hpp"

namespace palimpsest::training {

AdamW::AdamW(const std::vector<at::Tensor>& weights, const AdamWOptions& options) : options_(options) {
  const auto share = [](double x) { return x >= 0 && x < 1; };
  if (!share(options.beta1) || !share(options.beta2) || !(options.epsilon > 0) || !(options.weight_decay >= 0)) {
    fail(ErrorCode::kInvalidArgument, "AdamW: found beta1 ", options.beta1, ", beta2 ", options.beta2, ", epsilon ",
         options.epsilon, ", weight_decay ", options.weight_decay,
         "; expected betas of at least 0 and below 1, epsilon above 0, weight_decay of at least 0");
  }
  groups_[0].weight_decay = options.weight_decay;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const at::Tensor& weight = weights[i];
    if (!weight.defined() || weight.scalar_type() != at::kFloat || !weight.is_contiguous() || !weight.is_leaf() ||
        !weight.requires_grad()) {
      fail(ErrorCode::kInvalidArgument, "AdamW: weight ", i,
           " is not a contiguous float32 leaf tensor that requires grad");
    }
    Group& group = groups_[weight.dim() >= 2 ? 0 : 1];
    group.weights.push_back(weight);
    group.first.push_back(at::zeros(weight.sizes(), weight.options().requires_grad(false)));
    group.second.push_back(at::zeros(weight.sizes(), weight.options().requires_grad(false)));
  }
}

double norm_of(const at::Tensor& tensor) {
  const c10::NoGradGuard no_grad;
  const at::Tensor x = tensor.detach();
  if (x.dim() < 2) return x.to(at::kDouble).norm().item<double>();
  return at::linalg_vector_norm(x.flatten(1), 2, at::IntArrayRef{1}).to(at::kDouble).norm().item<double>();
}

double AdamW::gradient_norm() const {
  double squares = 0;
  for (const Group& group : groups_) {
    for (const at::Tensor& weight : group.weights) {
      if (!weight.grad().defined()) continue;
      const double norm = norm_of(weight.grad());
      squares += norm * norm;
    }
  }
  return std::sqrt(squares);
}

void AdamW::step(double learning_rate, double divisor) {
  ++steps_;
  const c10::NoGradGuard no_grad;
  for (Group& group : groups_) {
    std::vector<at::Tensor> weights, gradients, first, second;
    for (std::size_t i = 0; i < group.weights.size(); ++i) {
      if (!group.weights[i].grad().defined()) continue;
      weights.push_back(group.weights[i]);
      gradients.push_back(group.weights[i].grad());
      first.push_back(group.first[i]);
      second.push_back(group.second[i]);
    }
    if (weights.empty()) continue;
    const at::TensorOptions scalar = weights.front().options().requires_grad(false);
    const std::vector<at::Tensor> counts(weights.size(), at::full({}, static_cast<double>(steps_), scalar));
    std::optional<at::Tensor> scale;
    if (divisor != 1.0) scale = at::full({}, divisor, scalar);
    at::_fused_adamw_(weights, gradients, first, second, {}, counts, learning_rate, options_.beta1, options_.beta2,
                      group.weight_decay, options_.epsilon, false, false, scale);
  }
}

void AdamW::clear_gradients() {
  for (Group& group : groups_) {
    for (at::Tensor& weight : group.weights) weight.mutable_grad().reset();
  }
}

double clip_divisor(double gradient_norm, double clip_norm) {
  return clip_norm > 0 && gradient_norm > clip_norm ? gradient_norm / clip_norm : 1.0;
}

}  // namespace palimpsest::training
