#include "training/optimizer.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "training/rounding.hpp"

namespace palimpsest::training {
namespace {

void check_options(const AdamWOptions& options) {
  const auto share = [](double x) { return x >= 0 && x < 1; };
  if (!share(options.beta1) || !share(options.beta2) || !(options.epsilon > 0) || !(options.weight_decay >= 0)) {
    fail(ErrorCode::kInvalidArgument, "AdamW: found beta1 ", options.beta1, ", beta2 ", options.beta2, ", epsilon ",
         options.epsilon, ", weight_decay ", options.weight_decay,
         "; expected betas of at least 0 and below 1, epsilon above 0, weight_decay of at least 0");
  }
  constexpr std::int64_t kUnit = 64;
  if (options.piece < kUnit || options.piece % kUnit != 0) {
    fail(ErrorCode::kInvalidArgument, "AdamW: found pieces of ", options.piece, " numbers; expected a multiple of ",
         kUnit);
  }
}

}  // namespace

AdamW::AdamW(const std::vector<at::Tensor>& weights, const AdamWOptions& options, RoundingSource rounding)
    : options_(options), rounding_seed_(rounding.seed) {
  check_options(options);
  const bool rounds = !rounding.names.empty();
  if (rounds && rounding.names.size() != weights.size()) {
    fail(ErrorCode::kInvalidArgument, "AdamW: ", rounding.names.size(), " names for ", weights.size(), " weights");
  }
  groups_[0].weight_decay = options.weight_decay;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const at::Tensor& weight = weights[i];
    const bool held =
        weight.defined() && (weight.scalar_type() == at::kFloat || (rounds && weight.scalar_type() == at::kBFloat16));
    if (!held || !weight.is_contiguous() || !weight.is_leaf() || !weight.requires_grad()) {
      fail(ErrorCode::kInvalidArgument, "AdamW: weight ", i, " is not a contiguous leaf tensor in float32 ",
           rounds ? "or bfloat16 " : "", "that requires grad");
    }
    at::TensorOptions moments = weight.options().dtype(at::kFloat).requires_grad(false);
    if (options.state == StatePlace::kHost) moments = moments.device(at::kCPU);
    groups_[weight.dim() >= 2 ? 0 : 1].slots.push_back({weight, at::zeros(weight.sizes(), moments),
                                                        at::zeros(weight.sizes(), moments),
                                                        rounds ? std::move(rounding.names[i]) : std::string()});
  }
}

double norm_of(const at::Tensor& tensor) {
  const c10::NoGradGuard no_grad;
  const at::Tensor x = tensor.detach();
  if (x.dim() < 2) return x.to(at::kDouble).norm().item<double>();
  return at::linalg_vector_norm(x.flatten(1), 2, at::IntArrayRef{1}, false, at::kFloat)
      .to(at::kDouble)
      .norm()
      .item<double>();
}

double AdamW::gradient_norm() const {
  double squares = 0;
  for (const Group& group : groups_) {
    for (const Slot& slot : group.slots) {
      if (!slot.weight.grad().defined()) continue;
      const double norm = norm_of(slot.weight.grad());
      squares += norm * norm;
    }
  }
  return std::sqrt(squares);
}

bool AdamW::whole(const Slot& slot) const {
  return options_.state == StatePlace::kDevice && slot.weight.scalar_type() == at::kFloat;
}

void AdamW::run_kernel(const Operands& operands, double weight_decay, double learning_rate, double divisor) const {
  if (operands.weights.empty()) return;
  const at::TensorOptions scalar = operands.weights.front().options().requires_grad(false);
  const std::vector<at::Tensor> counts(operands.weights.size(), at::full({}, static_cast<double>(steps_), scalar));
  std::optional<at::Tensor> scale;
  if (divisor != 1.0) scale = at::full({}, divisor, scalar);
  at::_fused_adamw_(operands.weights, operands.gradients, operands.first, operands.second, {}, counts, learning_rate,
                    options_.beta1, options_.beta2, weight_decay, options_.epsilon, false, false, scale);
}

void AdamW::step_in_pieces(const Slot& slot, double weight_decay, double learning_rate, double divisor) const {
  const at::Tensor weight = slot.weight.detach().flatten(), gradient = slot.weight.grad().flatten();
  const at::Tensor first = slot.first.flatten(), second = slot.second.flatten();
  const at::Device device = weight.device();
  const bool narrow = weight.scalar_type() == at::kBFloat16;
  const Rng stream(rounding_seed_, cat("training.rounding/", steps_, "/", slot.name));
  for (std::int64_t begin = 0; begin < weight.numel(); begin += options_.piece) {
    const std::int64_t count = std::min(options_.piece, weight.numel() - begin);
    // Where it lies there in float32 already, a piece is the tensor's own memory.
    const auto taken = [&](const at::Tensor& t) { return t.narrow(0, begin, count).to(device, at::kFloat); };
    const Operands piece{{taken(weight)}, {taken(gradient)}, {taken(first)}, {taken(second)}};
    run_kernel(piece, weight_decay, learning_rate, divisor);
    if (first.device() != device) {
      first.narrow(0, begin, count).copy_(piece.first[0]);
      second.narrow(0, begin, count).copy_(piece.second[0]);
    }
    if (narrow) round_stochastically(piece.weights[0], weight.narrow(0, begin, count), stream, begin);
  }
}

void AdamW::step(double learning_rate, double divisor) {
  ++steps_;
  const c10::NoGradGuard no_grad;
  for (const Group& group : groups_) {
    Operands together;
    for (const Slot& slot : group.slots) {
      if (!slot.weight.grad().defined()) continue;
      if (!whole(slot)) {
        step_in_pieces(slot, group.weight_decay, learning_rate, divisor);
        continue;
      }
      together.weights.push_back(slot.weight);
      together.gradients.push_back(slot.weight.grad());
      together.first.push_back(slot.first);
      together.second.push_back(slot.second);
    }
    run_kernel(together, group.weight_decay, learning_rate, divisor);
  }
}

void AdamW::clear_gradients() {
  for (Group& group : groups_) {
    for (Slot& slot : group.slots) slot.weight.mutable_grad().reset();
  }
}

double clip_divisor(double gradient_norm, double clip_norm) {
  return clip_norm > 0 && gradient_norm > clip_norm ? gradient_norm / clip_norm : 1.0;
}

}  // namespace palimpsest::training
