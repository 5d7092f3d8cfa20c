#include "editing/values.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "editing/adam.hpp"

namespace palimpsest::editing {
namespace {

// Loss below which the references stop.
constexpr double kEnoughLoss = 5e-2;

// Target token j is read at the row's position of the token before it.
std::vector<Wanted> wanted_targets(const std::vector<LookupRow>& rows, std::int64_t target_rows,
                                   const std::vector<std::int64_t>& target_ids) {
  const auto n = static_cast<std::int64_t>(target_ids.size());
  std::vector<Wanted> wanted;
  for (std::int64_t row = 0; row < target_rows; ++row) {
    const auto length = static_cast<std::int64_t>(rows[static_cast<std::size_t>(row)].ids.size());
    for (std::int64_t j = 0; j < n; ++j)
      wanted.push_back({row, length - n + j, target_ids[static_cast<std::size_t>(j)]});
  }
  return wanted;
}

}  // namespace

ValueObjective::ValueObjective(const LookupPass& pass, const std::vector<LookupRow>& rows, std::int64_t target_rows,
                               std::vector<std::int64_t> target_ids, const at::Tensor& init,
                               const ValueOptions& options)
    : pass_(&pass),
      wanted_(wanted_targets(rows, target_rows, target_ids)),
      target_rows_(target_rows),
      options_(options),
      init_norm_(init.norm().item<double>()) {}

ValueObjective::Evaluated ValueObjective::at(const at::Tensor& delta) {
  const LookupPass::Result out = pass_->run(delta, wanted_, {target_rows_});
  const at::Tensor log_p = at::log_softmax(out.logits, 1);
  if (!initial_log_p_.defined()) initial_log_p_ = log_p.detach();

  const at::Tensor row_nll = -out.logprobs.reshape({target_rows_, -1}).mean(1);
  const at::Tensor nll = row_nll.mean();
  const at::Tensor kl = options_.kl_factor * (log_p.exp() * (log_p - initial_log_p_)).sum();
  const at::Tensor decay = options_.v_weight_decay * delta.norm() / (init_norm_ * init_norm_);
  const at::Tensor loss = nll + kl + decay;
  const double probability = (-row_nll.detach()).exp().mean().item<double>();
  return {loss, {loss.item<double>(), nll.item<double>(), kl.item<double>(), decay.item<double>(), probability}};
}

OptimisedValue optimise_value(const LookupPass& pass, const std::vector<LookupRow>& rows, std::int64_t target_rows,
                              const std::vector<std::int64_t>& target_ids, const at::Tensor& init,
                              const ValueOptions& options, const std::function<void(std::int64_t step)>& each_step) {
  ValueObjective objective(pass, rows, target_rows, target_ids, init, options);
  const double bound = options.clamp_norm_factor * init.norm().item<double>();
  const at::Tensor delta = at::zeros_like(init).requires_grad_(true);
  Adam adam(options.v_lr);
  OptimisedValue result;
  for (std::int64_t step = 0; step < options.v_num_grad_steps; ++step) {
    each_step(step);
    const c10::AutoGradMode with_grad(true);
    const ValueObjective::Evaluated now = objective.at(delta);
    result.steps.push_back(now.parts);
    const bool strong = options.v_stop_probability < 1 && now.parts.probability >= options.v_stop_probability;
    // The last step only measures: N steps make N - 1 moves.
    if (now.parts.loss < kEnoughLoss || strong || step == options.v_num_grad_steps - 1) break;

    delta.mutable_grad() = at::Tensor();
    now.loss.backward();
    adam.step(delta, delta.grad());
    const c10::NoGradGuard no_grad;
    const double norm = delta.norm().item<double>();
    if (norm > bound) delta.mul_(bound / norm);
  }
  result.delta = delta.detach();
  return result;
}

}  // namespace palimpsest::editing
