// EMMET: Equality-constrained Mass Model Editing in a Transformer (Gupta, Sajnani, Anumanchipalli 2024, arXiv
// 2403.14236): a batch of facts, one update of one layer's MLP down-projection W.
//
// Of all W' with W' k_i = v_i for every fact i, the one that changes what W does to ordinary keys least. With K [mlp,
// n] the facts' keys, R = V - W K [hidden, n] and C the second moment of ordinary keys,
//
//   W' = W + R (K^T C^-1 K + lambda I)^-1 K^T C^-1
//
// where lambda = 0 is the paper's constraint and n = 1 is ROME.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"

namespace emmet {

namespace sdk = palimpsest::sdk;

class Emmet : public sdk::Editor {
 public:
  struct Parameters {
    std::int64_t layer = 5;
    double emmet_lambda = 0;
    std::int64_t v_num_grad_steps = 20;
    double v_lr = 0.5;
    double v_weight_decay = 0.5;
    double clamp_norm_factor = 4;
    double kl_factor = 0.0625;
    sdk::List<sdk::Text> context_templates = {};
    sdk::List<std::int64_t> context_template_length_params = {5, 10, 10, 10};

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("layer", &Parameters::layer, "Layer whose MLP down-projection is edited, counted from 0.")
              .unit("layer")
              .at_least(0),
          field("emmet_lambda", &Parameters::emmet_lambda,
                "Softens the equality of a batch of two facts and more: added to the diagonal of K^T C^-1 K.")
              .at_least(0),
          field("v_num_grad_steps", &Parameters::v_num_grad_steps,
                "Evaluations of the objective of v*; the last one takes no step.")
              .at_least(1),
          field("v_lr", &Parameters::v_lr, "Adam's learning rate for v*.").at_least(0),
          field("v_weight_decay", &Parameters::v_weight_decay, "Weight of |delta| / |v|^2 in the objective of v*.")
              .at_least(0),
          field("clamp_norm_factor", &Parameters::clamp_norm_factor,
                "Bound of |delta| in multiples of the norm of the value before the edit.")
              .at_least(0),
          field("kl_factor", &Parameters::kl_factor,
                "Weight of the divergence from the unedited model on \"{subject} is a\" in the objective of v*.")
              .at_least(0),
          field("context_templates", &Parameters::context_templates,
                "Texts before the prompt, each with one {} for it, over which the key is averaged; the bare prompt "
                "always comes first. Empty: sampled from the unedited model."),
          field("context_template_length_params", &Parameters::context_template_length_params,
                "Pairs of length, in new tokens, and number of the sampled contexts.")
              .unit("tokens, texts")
              .at_least(0));
    }
  };
  static constexpr sdk::Info kInfo{"emmet", "1.0.0",
                                   "Batched edit of one MLP layer under an equality constraint (Gupta et al. 2024)."};

  Emmet(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  sdk::Needs needs(const palimpsest_model_info& info) override;
  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override;

 private:
  // What one fact asks of W: key [mlp], and R's column [hidden], v* minus what W gives now.
  struct Pair {
    at::Tensor key, residual;
  };
  Pair pair_of(const sdk::Model& model, const sdk::EditRequest& request, std::int64_t index,
               const sdk::Updates& updates) const;

  sdk::Host host_;
  Parameters p_;
  std::vector<std::string> contexts_;
};

// The right factor Z [mlp, n] of the update R Z^T: C^-1 K (K^T C^-1 K + lambda I)^-1, in float64. `k` and `c_inverse_k`
// [mlp, n] float64. Throws sdk::Error(PALIMPSEST_NUMERIC) when two keys are so alike that no W' gives them two values.
at::Tensor right_factor(const at::Tensor& k, const at::Tensor& c_inverse_k, double lambda);

}  // namespace emmet
