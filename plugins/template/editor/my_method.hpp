// The editor `my-method`: for each request the least change of one MLP's down-projection W that makes it answer, W' =
// W + delta k^T / (k . k): key k of the subject's last token, delta = v* - W k. (ROME without whitening and contexts.)
#pragma once

#include <cstdint>
#include <span>
#include <tuple>

#include "palimpsest/sdk/plugin.hpp"

namespace my_method {

namespace sdk = palimpsest::sdk;

class MyMethod : public sdk::Editor {
 public:
  // What the user may set: the member is the default, the field its name, meaning and limits. The program checks the
  // TOML file and prints help from this alone.
  struct Parameters {
    std::int64_t layer = 5;
    std::int64_t v_num_grad_steps = 20;
    double v_lr = 0.5;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("layer", &Parameters::layer, "Layer whose MLP down-projection is edited, counted from 0.")
              .unit("layer")
              .at_least(0),
          field("v_num_grad_steps", &Parameters::v_num_grad_steps, "Evaluations of the objective of v*.").at_least(1),
          field("v_lr", &Parameters::v_lr, "Adam's learning rate for v*.").at_least(0));
    }
  };
  static constexpr sdk::Info kInfo{"my-method", "0.1.0", "The least change of one layer that makes a fact's answer."};

  // `host` (tokenizer, second moments, random streams, log, progress) outlives the instance.
  MyMethod(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  // Called before any run: checks the parameters against the model, and says what apply will edit and need (`plan`
  // shows it, second moments are computed once and shared).
  sdk::Needs needs(const palimpsest_model_info& info) override;

  // Emits updates; later requests, and later calls, see the model with them. What it throws undoes the whole call:
  // sdk::fail(status, parts...) says what was found, what was expected and what to do.
  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override;

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace my_method
