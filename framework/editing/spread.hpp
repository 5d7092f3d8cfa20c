// Editing many facts at once by spreading each fact's residual over several layers (Meng et al. 2023, algorithm 1): z*
// of every fact at the last edited layer, then, layer by layer, keys, residuals and one update that the method solves
// for.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "editing/values.hpp"
#include "palimpsest/sdk/kinds.hpp"
#include "palimpsest/sdk/params.hpp"

namespace palimpsest::editing {

// Parameters under the field's names; a method adds its own. v_* are about z*.
struct SpreadParameters {
  sdk::List<std::int64_t> layers = {4, 5, 6, 7, 8};
  std::int64_t v_loss_layer = -1;
  std::int64_t v_num_grad_steps = 25;
  double v_lr = 0.5;
  double v_weight_decay = 0.5;
  double clamp_norm_factor = 0.75;
  double kl_factor = 0.0625;
  double v_stop_probability = 1;
  sdk::List<sdk::Text> context_templates = {};
  sdk::List<std::int64_t> context_template_length_params = {10, 5};

  static constexpr auto fields() {
    using P = SpreadParameters;
    using sdk::field;
    const auto places = std::tuple(
        field("layers", &P::layers, "Layers whose MLP down-projections are edited, ascending, counted from 0.")
            .unit("layer")
            .at_least(0),
        field("v_loss_layer", &P::v_loss_layer,
              "Layer whose output the final norm and the head read in the objective of z*; -1: the last.")
            .unit("layer")
            .at_least(-1));
    const auto keys = std::tuple(
        field("context_templates", &P::context_templates,
              "Texts before the prompt, each with one {} for it, over which keys are averaged beside the bare prompt, "
              "which weighs as much as all of them. Empty: sampled from the unedited model."),
        field("context_template_length_params", &P::context_template_length_params,
              "Pairs of length, in new tokens, and number of the sampled contexts.")
            .unit("tokens, texts")
            .at_least(0));
    return std::tuple_cat(places, value_fields<P>(), keys);
  }
};

// Layers checked against the model: some, ascending, none twice, none that the model has not; v_loss_layer not below
// the last of them. Fills edits_layers and leaves the rest to the method.
sdk::Needs spread_needs(const SpreadParameters& parameters, const palimpsest_model_info& info);

// Keys K [mlp, n] and residuals R [hidden, n] of one layer, float64, a column an edit -> the X [mlp, n] of W += R X^T.
using SolveLayer = std::function<at::Tensor(std::int64_t layer, const at::Tensor& keys, const at::Tensor& residuals)>;

// Applies the requests to the open transaction. An augmenter's prompts are requests of their own unless asked for as
// contexts, which then are a third group in the mean of the keys. Records, by request, the steps of z* and
// `delta_norm`, and, with the layer as step, `key_norm` and `residual_norm`; for the whole call, with the layer as
// step, `update_norm`.
void spread_edits(const sdk::Host& host, const sdk::Model& model, std::span<const sdk::EditRequest> requests,
                  const std::vector<std::string>& contexts, const SpreadParameters& parameters, const SolveLayer& solve,
                  const sdk::Updates& updates);

}  // namespace palimpsest::editing
