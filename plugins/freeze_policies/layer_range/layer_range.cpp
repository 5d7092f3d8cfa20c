// Freezes layers first to last, and on request what belongs to no layer.
#include <cstdint>
#include <span>
#include <string>
#include <tuple>

#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::layer_range {
namespace {

class LayerRange : public sdk::FreezePolicy {
 public:
  struct Parameters {
    std::int64_t first = 0;
    std::int64_t last = 0;
    bool freeze_embedding = false;
    bool freeze_final_norm = false;
    bool freeze_head = false;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("first", &Parameters::first, "First frozen layer, counted from 0.").at_least(0).required(),
          field("last", &Parameters::last, "Last frozen layer, inclusive.").at_least(0).required(),
          field("freeze_embedding", &Parameters::freeze_embedding,
                "Freeze the embeddings too, learned positions included; a tied head is frozen with them."),
          field("freeze_final_norm", &Parameters::freeze_final_norm, "Freeze the norm before the head too."),
          field("freeze_head", &Parameters::freeze_head,
                "Freeze the head too; an error where it is tied to the embedding."));
    }
  };
  static constexpr sdk::Info kInfo{"layer_range", "1.0.0", "Freezes a range of layers."};

  LayerRange(sdk::Host, const Parameters& parameters) : p_(parameters) {
    if (p_.first > p_.last) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "first is ", p_.first, " and last is ", p_.last,
                "; first must not be behind last");
    }
  }

  void decide(const palimpsest_model_info& info, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView>, const sdk::Freezing& freezing) override {
    if (p_.last >= info.layers) {
      sdk::fail(PALIMPSEST_OUT_OF_RANGE, "last is ", p_.last, "; the model has layers 0 to ", info.layers - 1);
    }
    std::size_t frozen = 0, heads = 0;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      heads += parameters[i].role == "head" ? 1 : 0;
      if (!wanted(parameters[i])) continue;
      freezing.freeze(i);
      ++frozen;
    }
    if (p_.freeze_head && heads == 0) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT,
                "freeze_head = true, and this model's head is its embedding (tied); use freeze_embedding = true, which "
                "freezes both");
    }
    if (frozen == 0 || frozen == parameters.size()) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "layers ", p_.first, " to ", p_.last, " and what goes with them are ",
                frozen, " of ", parameters.size(), " parameters; expected some and not all of them");
    }
  }

 private:
  bool wanted(const sdk::ParameterInfo& parameter) const {
    if (parameter.layer >= 0) return parameter.layer >= p_.first && parameter.layer <= p_.last;
    if (parameter.role == "embedding" || parameter.role == "position_embedding") return p_.freeze_embedding;
    if (parameter.role == "final_norm") return p_.freeze_final_norm;
    return parameter.role == "head" && p_.freeze_head;
  }

  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::layer_range

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::layer_range::LayerRange>)
