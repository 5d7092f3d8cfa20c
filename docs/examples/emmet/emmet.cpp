#include "emmet.hpp"

#include <ATen/ATen.h>

#include <utility>

#include "editing/lookup_pass.hpp"
#include "editing/prompts.hpp"
#include "editing/values.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace emmet {

namespace editing = palimpsest::editing;

sdk::Needs Emmet::needs(const palimpsest_model_info& info) {
  if (p_.layer >= info.layers) {
    sdk::fail(PALIMPSEST_OUT_OF_RANGE, "layer is ", p_.layer, "; the model has layers 0 to ", info.layers - 1);
  }
  sdk::Needs needs;
  needs.second_moments = {p_.layer};
  needs.edits_layers = {p_.layer};
  return needs;
}

void Emmet::apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) {
  if (requests.empty()) return;
  if (contexts_.empty()) {
    contexts_ = editing::context_templates(model, p_.context_templates, p_.context_template_length_params);
  }
  std::vector<at::Tensor> keys, residuals;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    host_.progress("v*", static_cast<std::int64_t>(i), static_cast<std::int64_t>(requests.size()), "facts");
    Pair pair = pair_of(model, requests[i], static_cast<std::int64_t>(i), updates);
    keys.push_back(std::move(pair.key));
    residuals.push_back(std::move(pair.residual));
  }
  const at::Tensor k = at::stack(keys, 1).to(at::kDouble);
  const at::Tensor r = at::stack(residuals, 1);
  const sdk::Tensor solved = host_.second_moment_solve(p_.layer, 1.0, sdk::to_handle(host_.get(), k));
  const at::Tensor z = right_factor(k, sdk::torch_tensor(solved), requests.size() > 1 ? p_.emmet_lambda : 0);
  updates.low_rank(sdk::mlp_down_parameter(p_.layer), sdk::to_handle(host_.get(), r),
                   sdk::to_handle(host_.get(), z.to(r.scalar_type())));
}

Emmet::Pair Emmet::pair_of(const sdk::Model& model, const sdk::EditRequest& request, std::int64_t index,
                           const sdk::Updates& updates) const {
  const std::vector<std::int64_t> target = host_.encode_target(request.target);
  std::vector<editing::LookupRow> rows;
  for (const auto& context : contexts_) {
    rows.push_back(editing::lookup_row(host_, editing::in_context(context, request.prompt), request.subject));
    rows.back().ids.insert(rows.back().ids.end(), target.begin(), target.end() - 1);
  }
  const auto target_rows = static_cast<std::int64_t>(rows.size());
  rows.push_back(editing::lookup_row(host_, "{} is a", request.subject));

  const editing::LookupPass pass(model, rows, p_.layer);
  editing::ValueOptions options{};
  options.v_num_grad_steps = p_.v_num_grad_steps;
  options.v_lr = p_.v_lr;
  options.v_weight_decay = p_.v_weight_decay;
  options.clamp_norm_factor = p_.clamp_norm_factor;
  options.kl_factor = p_.kl_factor;
  options.v_stop_probability = 1;
  const auto value = editing::optimise_value(pass, rows, target_rows, target, pass.values()[0], options,
                                             [this](std::int64_t) { host_.stop_if_cancelled(); });
  updates.record(index, "loss", -1, value.steps.back().loss);
  updates.record(index, "target_probability", -1, value.steps.back().probability);
  return {pass.keys().narrow(0, 0, target_rows).mean(0), value.delta};
}

at::Tensor right_factor(const at::Tensor& k, const at::Tensor& c_inverse_k, double lambda) {
  // Symmetric positive definite, unless a key is a combination of others.
  const at::Tensor d = k.t().mm(c_inverse_k) + lambda * at::eye(k.size(1), k.options());
  const auto [factor, failed] = at::linalg_cholesky_ex(d);
  if (failed.item<std::int64_t>() != 0 || (factor.diagonal() < 1e-6 * d.diagonal().sqrt()).any().item<bool>()) {
    sdk::fail(PALIMPSEST_NUMERIC, "the keys of the batch of ", k.size(1),
              " facts depend on each other (the same subject twice?), so no weight gives each its value; edit them in "
              "smaller batches, or set emmet_lambda above 0");
  }
  return at::cholesky_solve(c_inverse_k.t(), factor).t();
}

}  // namespace emmet
