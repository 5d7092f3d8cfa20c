// The freeze policy `my-method`: fine-tuning leaves the first n layers and the embeddings as the edit left them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>

#include "palimpsest/sdk/plugin.hpp"

namespace my_method {

namespace sdk = palimpsest::sdk;

class MyMethod : public sdk::FreezePolicy {
 public:
  // What the user may set: the member is the default, the field its name, meaning and limits. The program checks the
  // TOML file and prints help from this alone.
  struct Parameters {
    std::int64_t layers = 1;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("layers", &Parameters::layers, "How many layers, counted from the first, are frozen.").at_least(0));
    }
  };
  static constexpr sdk::Info kInfo{"my-method", "0.1.0", "Freezes the embeddings and the first layers."};

  // `host` (tokenizer, random streams, log, progress) outlives the instance.
  MyMethod(sdk::Host, const Parameters& parameters) : p_(parameters) {}

  // Called once, before fine-tuning, with every parameter (name, role, layer, shape) and the recorded updates of the
  // edit. What is neither frozen nor projected is trained. To fail, throw: sdk::fail(status, parts...) says what was
  // found, what was expected and what to do.
  void decide(const palimpsest_model_info& info, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView>, const sdk::Freezing& freezing) override {
    if (p_.layers >= info.layers) {
      sdk::fail(PALIMPSEST_OUT_OF_RANGE, "layers is ", p_.layers, "; the model has ", info.layers,
                ", and one must be left to train");
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const bool embedding = parameters[i].role.ends_with("embedding");
      const bool below = parameters[i].layer >= 0 && parameters[i].layer < p_.layers;
      if (embedding || below) freezing.freeze(i);
    }
  }

 private:
  Parameters p_;
};

}  // namespace my_method
