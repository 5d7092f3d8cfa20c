// Fine-tunes where the edit lives, and nothing else.
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <tuple>

#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::everything_but_edited {
namespace {

class EverythingButEdited : public sdk::FreezePolicy {
 public:
  struct Parameters {
    sdk::Text granularity = "block";
    std::int64_t margin = 0;
    sdk::List<std::int64_t> layers;
    bool train_embedding = false;
    bool train_final_norm = false;
    bool train_head = false;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field(
              "granularity", &Parameters::granularity,
              "What of an edited layer is trained: the edited matrices, its MLP with the norm before it, or all of it.")
              .choices(sdk::kGranularities),
          field("margin", &Parameters::margin, "Layers on either side of each that are trained too.")
              .unit("layers")
              .at_least(0),
          field("layers", &Parameters::layers, sdk::kLayersDoc).unit("layer").at_least(0),
          field("train_embedding", &Parameters::train_embedding,
                "Train the embeddings too, learned positions included; a tied head is trained with them."),
          field("train_final_norm", &Parameters::train_final_norm, "Train the norm before the head too."),
          field("train_head", &Parameters::train_head,
                "Train the head too; an error where it is tied to the embedding."));
    }
  };
  static constexpr sdk::Info kInfo{"everything_but_edited", "1.0.0",
                                   "Freezes everything but the layers that the edit changed."};

  EverythingButEdited(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void decide(const palimpsest_model_info& info, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView> updates, const sdk::Freezing& freezing) override {
    const sdk::EditedPlaces edited = sdk::find_edited(parameters, updates);
    const sdk::Outside outside{p_.train_embedding, p_.train_final_norm, p_.train_head};
    outside.check(parameters, "train_head", "train_embedding");
    const bool some_outside = !edited.outside.empty();
    const std::set<std::int64_t> layers =
        sdk::with_margin(info, sdk::edited_layers(info, edited, p_.layers, some_outside), p_.margin);
    sdk::freeze_where(
        host_, parameters, freezing,
        "everything but granularity = \"" + p_.granularity.str() + "\" of " + std::to_string(layers.size()) + " layers",
        [&](const sdk::ParameterInfo& p) {
          if (p.layer >= 0) return !layers.contains(p.layer) || !edited.covers(p, p_.granularity);
          return !outside.covers(p) && !(p_.layers.empty() && edited.outside.contains(p.name));
        });
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::everything_but_edited

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::everything_but_edited::EverythingButEdited>)
