// Freezes what reads the edit: the layers above the last edited one, and the final norm.
#include <cstdint>
#include <span>
#include <string>
#include <tuple>

#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::above_edited {
namespace {

class AboveEdited : public sdk::FreezePolicy {
 public:
  struct Parameters {
    sdk::Text granularity = "block";
    sdk::List<std::int64_t> layers;
    bool freeze_embedding = false;
    bool freeze_final_norm = true;
    bool freeze_head = false;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("granularity", &Parameters::granularity,
                "What of a layer is frozen: the matrices that stand where the edit changed some, its MLP with the norm "
                "before it, or all of it.")
              .choices(sdk::kGranularities),
          field("layers", &Parameters::layers, sdk::kLayersDoc).unit("layer").at_least(0),
          field("freeze_embedding", &Parameters::freeze_embedding, sdk::kFreezeEmbeddingDoc),
          field("freeze_final_norm", &Parameters::freeze_final_norm,
                "Freeze the norm before the head, which is above."),
          field("freeze_head", &Parameters::freeze_head,
                "Freeze the head too; an error where it is tied to the embedding, which is below."));
    }
  };
  static constexpr sdk::Info kInfo{"above_edited", "1.0.0", "Freezes the layers above the last edited one."};

  AboveEdited(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void decide(const palimpsest_model_info& info, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView> updates, const sdk::Freezing& freezing) override {
    const sdk::EditedPlaces edited = sdk::find_edited(parameters, updates);
    const sdk::Outside outside = sdk::frozen_outside(p_, parameters);
    const std::int64_t last = *sdk::edited_layers(info, edited, p_.layers).rbegin();
    sdk::freeze_where(
        host_, parameters, freezing,
        "layers above " + std::to_string(last) + " of " + std::to_string(info.layers) + ", and what goes with them",
        [&](const sdk::ParameterInfo& p) {
          return p.layer >= 0 ? p.layer > last && edited.covers(p, p_.granularity) : outside.covers(p);
        });
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::above_edited

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::above_edited::AboveEdited>)
