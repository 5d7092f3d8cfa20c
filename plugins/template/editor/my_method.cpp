#include "my_method.hpp"

#include <ATen/ATen.h>

#include <vector>

#include "editing/lookup_pass.hpp"
#include "editing/prompts.hpp"
#include "editing/values.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace my_method {

namespace editing = palimpsest::editing;

sdk::Needs MyMethod::needs(const palimpsest_model_info& info) {
  if (p_.layer >= info.layers) {
    sdk::fail(PALIMPSEST_OUT_OF_RANGE, "layer is ", p_.layer, "; the model has layers 0 to ", info.layers - 1);
  }
  sdk::Needs needs;
  needs.edits_layers = {p_.layer};
  return needs;
}

void MyMethod::apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    host_.stop_if_cancelled();
    const auto& request = requests[i];
    // Row 0 ends with all target tokens but the last, which are what its positions are taught; row 1 holds the model to
    // what it says of the subject itself.
    const std::vector<std::int64_t> target = host_.encode_target(request.target);
    std::vector<editing::LookupRow> rows = {editing::lookup_row(host_, request.prompt, request.subject),
                                            editing::lookup_row(host_, "{} is a", request.subject)};
    rows[0].ids.insert(rows[0].ids.end(), target.begin(), target.end() - 1);

    const editing::LookupPass pass(model, rows, p_.layer);
    editing::ValueOptions options{};
    options.v_num_grad_steps = p_.v_num_grad_steps;
    options.v_lr = p_.v_lr;
    options.v_weight_decay = 0.5;
    options.clamp_norm_factor = 4;
    options.kl_factor = 0.0625;
    options.v_stop_probability = 1;
    const auto value = editing::optimise_value(pass, rows, /*target_rows=*/1, target, pass.values()[0], options,
                                               [this](std::int64_t) { host_.stop_if_cancelled(); });

    const at::Tensor k = pass.keys()[0];
    const at::Tensor v = k / at::dot(k, k);
    updates.low_rank(sdk::mlp_down_parameter(p_.layer), sdk::to_handle(host_.get(), value.delta.unsqueeze(1)),
                     sdk::to_handle(host_.get(), v.unsqueeze(1)));
    updates.record(static_cast<std::int64_t>(i), "target_probability", -1, value.steps.back().probability);
  }
}

}  // namespace my_method
