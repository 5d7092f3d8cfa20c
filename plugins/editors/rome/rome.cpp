// ROME: Rank-One Model Editing (Meng et al. 2022, arXiv 2202.05262), section 3.1.
//
//   k* = mean over contexts of the key at the subject's last token       (equation 3)
//   v* = argmin of the objective of equation 4                            (editing/values)
//   W' = W + Lambda (C^-1 k*)^T                                           (equation 2)
//
// As in the authors' code, u = C^-1 k* is normalised, Lambda = (v* - W k) / (k . u) takes key and output of the bare
// prompt, and delta acts at the MLP's output of the edited layer.
#include "rome.hpp"

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "editing/lookup_pass.hpp"
#include "editing/prompts.hpp"
#include "editing/values.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::rome {

using editing::LookupRow;

Rome::Rome(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

sdk::Needs Rome::needs(const palimpsest_model_info& info) {
  if (p_.layer >= info.layers) {
    sdk::fail(PALIMPSEST_OUT_OF_RANGE, "layer is ", p_.layer, "; the model has layers 0 to ", info.layers - 1);
  }
  sdk::Needs needs;
  if (p_.mom2_adjustment) needs.second_moments = {p_.layer};
  needs.edits_layers = {p_.layer};
  needs.largest_batch = 1;
  return needs;
}

void Rome::apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) {
  if (contexts_.empty()) {
    contexts_ = editing::context_templates(model, p_.context_templates, p_.context_template_length_params);
  }
  // Consecutive requests that are contexts of one another are one edit; any other request is its own.
  for (std::size_t begin = 0; begin < requests.size();) {
    std::size_t end = begin + 1;
    while (end < requests.size() && (requests[end].origin == PALIMPSEST_PROMPT_AUGMENTED ||
                                     requests[end].origin == PALIMPSEST_PROMPT_AS_CONTEXT)) {
      ++end;
    }
    edit(model, requests.subspan(begin, end - begin), static_cast<std::int64_t>(begin), updates);
    begin = end;
  }
}

std::vector<std::string> Rome::prompts_of(std::span<const sdk::EditRequest> requests) const {
  std::vector<std::string> prompts;
  for (const auto& context : contexts_) prompts.push_back(editing::in_context(context, requests[0].prompt));
  for (const auto& augmented : requests.subspan(1)) prompts.emplace_back(augmented.prompt);
  return prompts;
}

void Rome::edit(const sdk::Model& model, std::span<const sdk::EditRequest> requests, std::int64_t index,
                const sdk::Updates& updates) const {
  const std::string_view subject = requests[0].subject;
  const std::vector<std::int64_t> target = host_.encode_target(requests[0].target);
  std::vector<LookupRow> rows;
  for (const auto& prompt : prompts_of(requests)) {
    rows.push_back(editing::lookup_row(host_, prompt, subject));
    rows.back().ids.insert(rows.back().ids.end(), target.begin(), target.end() - 1);
  }
  const auto target_rows = static_cast<std::int64_t>(rows.size());
  // The KL row is read at the subject alone: by causality what follows it in "{} is a" has no part.
  LookupRow kl_row = editing::lookup_row(host_, "{} is a", subject);
  kl_row.ids.resize(static_cast<std::size_t>(kl_row.lookup) + 1);
  rows.push_back(std::move(kl_row));

  const editing::LookupPass pass(model, rows, p_.layer);
  const at::Tensor k_star = pass.keys().narrow(0, 0, target_rows).mean(0);
  const at::Tensor u = left_vector(k_star);

  const at::Tensor init = pass.values()[0];
  const editing::OptimisedValue value = editing::optimise_value(
      pass, rows, target_rows, target, init,
      {p_.v_num_grad_steps, p_.v_lr, p_.v_weight_decay, p_.clamp_norm_factor, p_.kl_factor, p_.v_stop_probability},
      [this](std::int64_t) { host_.stop_if_cancelled(); });

  // Lambda = (v* - W k) / (k . u), with k and W k of the bare prompt, whose value is also where delta started.
  const double division_factor = at::dot(pass.keys()[0], u).item<double>();
  const at::Tensor right = value.delta / division_factor;
  updates.low_rank(sdk::mlp_down_parameter(p_.layer), sdk::to_handle(host_.get(), right.unsqueeze(1)),
                   sdk::to_handle(host_.get(), u.unsqueeze(1)));
  record(value, division_factor, right.norm().item<double>(), k_star, index, updates);
}

at::Tensor Rome::left_vector(const at::Tensor& k_star) const {
  if (!p_.mom2_adjustment) return k_star / k_star.norm();
  const sdk::Tensor solved = host_.second_moment_solve(p_.layer, 1.0, sdk::to_handle(host_.get(), k_star));
  const at::Tensor u = sdk::torch_tensor(solved);
  return (u / u.norm()).to(k_star.scalar_type());
}

void Rome::record(const editing::OptimisedValue& value, double division_factor, double right_norm,
                  const at::Tensor& k_star, std::int64_t index, const sdk::Updates& updates) const {
  for (std::size_t i = 0; i < value.steps.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i);
    updates.record(index, "loss", step, value.steps[i].loss);
    updates.record(index, "nll", step, value.steps[i].nll);
    updates.record(index, "kl", step, value.steps[i].kl);
    updates.record(index, "target_probability", step, value.steps[i].probability);
  }
  updates.record(index, "division_factor", -1, division_factor);
  updates.record(index, "key_norm", -1, k_star.norm().item<double>());
  updates.record(index, "delta_norm", -1, value.delta.norm().item<double>());
  updates.record(index, "update_norm", -1, right_norm);
}

}  // namespace palimpsest::rome
