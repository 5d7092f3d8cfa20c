#include "editing/values.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "editing/adam.hpp"

namespace palimpsest::editing {
namespace {

// Loss below which the references stop.
constexpr double kEnoughLoss = 5e-2;

// Target token j is read at the row's position of the token before it.
std::vector<Wanted> wanted_targets(const std::vector<LookupRow>& rows, const ValueFact& fact) {
  const auto n = static_cast<std::int64_t>(fact.target_ids.size());
  std::vector<Wanted> wanted;
  for (std::int64_t row = fact.first_row; row < fact.first_row + fact.target_rows; ++row) {
    const auto length = static_cast<std::int64_t>(rows[static_cast<std::size_t>(row)].ids.size());
    for (std::int64_t j = 0; j < n; ++j) {
      wanted.push_back({row, length - n + j, fact.target_ids[static_cast<std::size_t>(j)]});
    }
  }
  return wanted;
}

}  // namespace

ValueObjective::ValueObjective(const LookupPass& pass, const std::vector<LookupRow>& rows, std::vector<ValueFact> facts,
                               const ValueOptions& options)
    : pass_(&pass), options_(options) {
  for (ValueFact& fact : facts) {
    Fact made;
    made.wanted = wanted_targets(rows, fact);
    made.init_norm = fact.init.norm().item<double>();
    made.fact = std::move(fact);
    facts_.push_back(std::move(made));
  }
}

ValueObjective::Evaluated ValueObjective::evaluated(Fact& f, const at::Tensor& delta, const at::Tensor& logprobs,
                                                    const at::Tensor& logits) const {
  const at::Tensor log_p = at::log_softmax(logits.to(delta.scalar_type()), 1);
  if (!f.initial_log_p.defined()) f.initial_log_p = log_p.detach();

  const at::Tensor row_nll = -logprobs.reshape({f.fact.target_rows, -1}).mean(1);
  const at::Tensor nll = row_nll.mean();
  const at::Tensor kl = options_.kl_factor * (log_p.exp() * (log_p - f.initial_log_p)).sum();
  const at::Tensor decay = options_.v_weight_decay * delta.norm() / (f.init_norm * f.init_norm);
  const at::Tensor loss = nll + kl + decay;
  const double probability = (-row_nll.detach()).exp().mean().item<double>();
  return {loss, {loss.item<double>(), nll.item<double>(), kl.item<double>(), decay.item<double>(), probability}};
}

std::vector<ValueObjective::Evaluated> ValueObjective::at(const std::vector<at::Tensor>& deltas) {
  std::vector<Wanted> wanted;
  std::vector<std::int64_t> kl_rows;
  for (std::size_t f = 0; f < facts_.size(); ++f) {
    if (!deltas[f].defined()) continue;
    wanted.insert(wanted.end(), facts_[f].wanted.begin(), facts_[f].wanted.end());
    kl_rows.push_back(facts_[f].fact.first_row + facts_[f].fact.target_rows);
  }
  const LookupPass::Result out = pass_->run(deltas, wanted, kl_rows);
  std::vector<Evaluated> made(facts_.size());
  std::int64_t at_wanted = 0, at_row = 0;
  for (std::size_t f = 0; f < facts_.size(); ++f) {
    if (!deltas[f].defined()) continue;
    const auto count = static_cast<std::int64_t>(facts_[f].wanted.size());
    made[f] =
        evaluated(facts_[f], deltas[f], out.logprobs.narrow(0, at_wanted, count), out.logits.narrow(0, at_row, 1));
    at_wanted += count;
    ++at_row;
  }
  return made;
}

std::vector<OptimisedValue> optimise_values(const LookupPass& pass, const std::vector<LookupRow>& rows,
                                            const std::vector<ValueFact>& facts, const ValueOptions& options,
                                            const std::function<void(std::int64_t step)>& each_step) {
  ValueObjective objective(pass, rows, facts, options);
  std::vector<OptimisedValue> results(facts.size());
  std::vector<at::Tensor> deltas;
  std::vector<double> bounds;
  std::vector<Adam> optimisers(facts.size(), Adam(options.v_lr));
  for (const ValueFact& fact : facts) {
    deltas.push_back(at::zeros_like(fact.init).requires_grad_(true));
    bounds.push_back(options.clamp_norm_factor * fact.init.norm().item<double>());
  }
  // Deltas of the facts that are still moving; undefined for the others.
  std::vector<at::Tensor> moving = deltas;
  for (std::int64_t step = 0; step < options.v_num_grad_steps; ++step) {
    each_step(step);
    const c10::AutoGradMode with_grad(true);
    const std::vector<ValueObjective::Evaluated> now = objective.at(moving);
    at::Tensor loss;
    for (std::size_t f = 0; f < facts.size(); ++f) {
      if (!moving[f].defined()) continue;
      const ValueStep& parts = now[f].parts;
      results[f].steps.push_back(parts);
      const bool strong = options.v_stop_probability < 1 && parts.probability >= options.v_stop_probability;
      // The last step only measures: N steps make N - 1 moves.
      if (parts.loss < kEnoughLoss || strong || step == options.v_num_grad_steps - 1) {
        moving[f] = at::Tensor();
      } else {
        loss = loss.defined() ? loss + now[f].loss : now[f].loss;
      }
    }
    if (!loss.defined()) break;

    for (const at::Tensor& delta : moving) {
      if (delta.defined()) delta.mutable_grad() = at::Tensor();
    }
    loss.backward();
    const c10::NoGradGuard no_grad;
    for (std::size_t f = 0; f < facts.size(); ++f) {
      if (!moving[f].defined()) continue;
      optimisers[f].step(moving[f], moving[f].grad());
      const double norm = moving[f].norm().item<double>();
      if (norm > bounds[f]) moving[f].mul_(bounds[f] / norm);
    }
  }
  for (std::size_t f = 0; f < facts.size(); ++f) results[f].delta = deltas[f].detach();
  return results;
}

OptimisedValue optimise_value(const LookupPass& pass, const std::vector<LookupRow>& rows, std::int64_t target_rows,
                              const std::vector<std::int64_t>& target_ids, const at::Tensor& init,
                              const ValueOptions& options, const std::function<void(std::int64_t step)>& each_step) {
  return optimise_values(pass, rows, {{0, target_rows, target_ids, init}}, options, each_step)[0];
}

}  // namespace palimpsest::editing
