// What rank-one edits of one layer have in common (Meng et al. 2022, section 3.1): parameters under the field's names,
// k*, u = C^-1 k* and v*. Which key and value stand in Lambda is the editor's own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "editing/requests.hpp"
#include "editing/values.hpp"
#include "palimpsest/sdk/kinds.hpp"
#include "palimpsest/sdk/params.hpp"

namespace palimpsest::editing {

struct RankOneParameters {
  std::int64_t layer = 5;
  std::int64_t v_num_grad_steps = 20;
  double v_lr = 0.5;
  double v_weight_decay = 0.5;
  double clamp_norm_factor = 4;
  double kl_factor = 0.0625;
  double v_stop_probability = 1;
  bool mom2_adjustment = true;
  sdk::List<sdk::Text> context_templates = {};
  sdk::List<std::int64_t> context_template_length_params = {5, 10, 10, 10};

  static constexpr auto fields() {
    using P = RankOneParameters;
    using sdk::field;
    const auto place =
        std::tuple(field("layer", &P::layer, "Layer whose MLP down-projection is edited, counted from 0.")
                       .unit("layer")
                       .at_least(0));
    const auto key = std::tuple(
        field("mom2_adjustment", &P::mom2_adjustment,
              "Whiten the key by the second moment C of the layer's keys; false: C is the identity."),
        field(
            "context_templates", &P::context_templates,
            "Texts before the prompt, each with one {} for it, over which the key is averaged; the bare prompt always "
            "comes first. Empty: sampled from the unedited model."),
        field("context_template_length_params", &P::context_template_length_params,
              "Pairs of length, in new tokens, and number of the sampled contexts.")
            .unit("tokens, texts")
            .at_least(0));
    return std::tuple_cat(place, value_fields<P>(), key);
  }
};

// Layer, second moment, one fact at a time. Throws sdk::Error for a layer that the model has not.
sdk::Needs rank_one_needs(const RankOneParameters& parameters, const palimpsest_model_info& info);

// Everything about one edit that its rank-one update is made of. Keys [mlp], values [hidden].
struct RankOne {
  at::Tensor k_star;      // mean key over all contexts (equation 3)
  at::Tensor u;           // C^-1 k*, normalised
  at::Tensor bare_key;    // of the bare prompt
  at::Tensor init;        // W k + b of the bare prompt, where delta starts
  at::Tensor mean_value;  // mean over all contexts of W k + b
  OptimisedValue value;   // delta = v* - init
};
RankOne rank_one(const sdk::Host& host, const sdk::Model& model, const Edit& edit,
                 const std::vector<std::string>& contexts, const RankOneParameters& parameters);

// Emits W += right u^T and records the edit's numbers under its first request.
void emit_rank_one(const sdk::Host& host, const RankOne& made, const at::Tensor& right, double division_factor,
                   const Edit& edit, const RankOneParameters& parameters, const sdk::Updates& updates);

}  // namespace palimpsest::editing
