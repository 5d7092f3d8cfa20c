#include "editing/rank_one.hpp"

#include <ATen/ATen.h>

#include "editing/lookup_pass.hpp"
#include "editing/prompts.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::editing {
namespace {

at::Tensor left_vector(const sdk::Host& host, const at::Tensor& k_star, const RankOneParameters& p) {
  if (!p.mom2_adjustment) return k_star / k_star.norm();
  const sdk::Tensor solved = host.second_moment_solve(p.layer, 1.0, sdk::to_handle(host.get(), k_star));
  const at::Tensor u = sdk::torch_tensor(solved);
  return (u / u.norm()).to(k_star.scalar_type());
}

}  // namespace

sdk::Needs rank_one_needs(const RankOneParameters& p, const palimpsest_model_info& info) {
  if (p.layer >= info.layers) {
    sdk::fail(PALIMPSEST_OUT_OF_RANGE, "layer is ", p.layer, "; the model has layers 0 to ", info.layers - 1);
  }
  sdk::Needs needs;
  if (p.mom2_adjustment) needs.second_moments = {p.layer};
  needs.edits_layers = {p.layer};
  needs.largest_batch = 1;
  return needs;
}

RankOne rank_one(const sdk::Host& host, const sdk::Model& model, const Edit& edit,
                 const std::vector<std::string>& contexts, const RankOneParameters& p) {
  const std::string_view subject = edit.requests[0].subject;
  const std::vector<std::int64_t> target = host.encode_target(edit.requests[0].target);
  std::vector<LookupRow> rows;
  for (const auto& prompt : prompts_of(edit, contexts)) {
    rows.push_back(lookup_row(host, prompt, subject));
    rows.back().ids.insert(rows.back().ids.end(), target.begin(), target.end() - 1);
  }
  const auto target_rows = static_cast<std::int64_t>(rows.size());
  rows.push_back(kl_row(host, subject));

  const LookupPass pass(model, rows, p.layer);
  RankOne made;
  made.k_star = pass.keys().narrow(0, 0, target_rows).mean(0);
  made.u = left_vector(host, made.k_star, p);
  made.bare_key = pass.keys()[0];
  made.init = pass.values()[0];
  made.mean_value = pass.values().narrow(0, 0, target_rows).mean(0);
  made.value = optimise_value(pass, rows, target_rows, target, made.init, value_options(p),
                              [&](std::int64_t) { host.stop_if_cancelled(); });
  return made;
}

void emit_rank_one(const sdk::Host& host, const RankOne& made, const at::Tensor& right, double division_factor,
                   const Edit& edit, const RankOneParameters& p, const sdk::Updates& updates) {
  updates.low_rank(sdk::mlp_down_parameter(p.layer), sdk::to_handle(host.get(), right.unsqueeze(1)),
                   sdk::to_handle(host.get(), made.u.unsqueeze(1)));
  record_steps(made.value, edit.first, updates);
  updates.record(edit.first, "division_factor", -1, division_factor);
  updates.record(edit.first, "key_norm", -1, made.k_star.norm().item<double>());
  updates.record(edit.first, "delta_norm", -1, made.value.delta.norm().item<double>());
  updates.record(edit.first, "update_norm", -1, right.norm().item<double>());
}

}  // namespace palimpsest::editing
