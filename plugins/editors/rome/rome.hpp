// The editor `rome`: one fact, one rank-one update of one MLP's down-projection.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/kinds.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::editing {
struct OptimisedValue;
}

namespace palimpsest::rome {

class Rome : public sdk::Editor {
 public:
  struct Parameters {
    std::int64_t layer = 5;
    std::int64_t v_num_grad_steps = 20;
    double v_lr = 0.5;
    double v_weight_decay = 0.5;
    double clamp_norm_factor = 4;
    double kl_factor = 0.0625;
    bool mom2_adjustment = true;
    double v_stop_probability = 1;
    sdk::List<sdk::Text> context_templates = {};
    sdk::List<std::int64_t> context_template_length_params = {5, 10, 10, 10};

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("layer", &Parameters::layer, "Layer whose MLP down-projection is edited, counted from 0.").at_least(0),
          field("v_num_grad_steps", &Parameters::v_num_grad_steps,
                "Evaluations of the objective of v*; the last one takes no step.")
              .at_least(1)
              .at_most(1000),
          field("v_lr", &Parameters::v_lr, "Adam's learning rate for v*.").at_least(0),
          field("v_weight_decay", &Parameters::v_weight_decay, "Weight of |delta| / |v|^2 in the objective of v*.")
              .at_least(0),
          field("clamp_norm_factor", &Parameters::clamp_norm_factor,
                "Bound of |delta| in multiples of the norm of the value before the edit.")
              .at_least(0),
          field("kl_factor", &Parameters::kl_factor,
                "Weight of the divergence from the unedited model on \"{subject} is a\" in the objective of v*.")
              .at_least(0),
          field("mom2_adjustment", &Parameters::mom2_adjustment,
                "Whiten the key by the second moment C of the layer's keys; false: C is the identity."),
          field(
              "v_stop_probability", &Parameters::v_stop_probability,
              "Stop optimising v* when the target's mean probability reaches this; 1: never (sweeps of edit strength).")
              .at_least(0)
              .at_most(1),
          field("context_templates", &Parameters::context_templates,
                "Texts before the prompt, each with one {} for it, over which the key is averaged; the bare prompt "
                "always comes "
                "first. Empty: sampled from the unedited model."),
          field("context_template_length_params", &Parameters::context_template_length_params,
                "Pairs of length and number of the sampled contexts.")
              .unit("tokens, texts")
              .at_least(0));
    }
  };
  static constexpr sdk::Info kInfo{"rome", "1.0.0", "Rank-one edit of one MLP layer per fact (Meng et al. 2022)."};

  Rome(sdk::Host host, const Parameters& parameters);

  sdk::Needs needs(const palimpsest_model_info& info) override;
  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override;

 private:
  std::vector<std::string> prompts_of(std::span<const sdk::EditRequest> requests) const;
  void edit(const sdk::Model& model, std::span<const sdk::EditRequest> requests, std::int64_t index,
            const sdk::Updates& updates) const;
  at::Tensor left_vector(const at::Tensor& k_star) const;
  void record(const editing::OptimisedValue& value, double division_factor, double right_norm, const at::Tensor& k_star,
              std::int64_t index, const sdk::Updates& updates) const;

  sdk::Host host_;
  Parameters p_;
  std::vector<std::string> contexts_;
};

}  // namespace palimpsest::rome
