// Freezes everything that makes the key of the last edited layer: embeddings and all layers up to it.
#include <cstdint>
#include <span>
#include <string>
#include <tuple>

#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::up_to_edited {
namespace {

class UpToEdited : public sdk::FreezePolicy {
 public:
  struct Parameters {
    sdk::List<std::int64_t> layers;
    bool freeze_embedding = true;
    bool freeze_final_norm = false;
    bool freeze_head = false;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("layers", &Parameters::layers, sdk::kLayersDoc).unit("layer").at_least(0),
          field("freeze_embedding", &Parameters::freeze_embedding,
                "Freeze the embeddings, learned positions included; a tied head is frozen with them. With "
                "false the keys of the edited layers move."),
          field("freeze_final_norm", &Parameters::freeze_final_norm, sdk::kFreezeFinalNormDoc),
          field("freeze_head", &Parameters::freeze_head, sdk::kFreezeHeadDoc));
    }
  };
  static constexpr sdk::Info kInfo{"up_to_edited", "1.0.0",
                                   "Freezes the embeddings and all layers up to the last edited one."};

  UpToEdited(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void decide(const palimpsest_model_info& info, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView> updates, const sdk::Freezing& freezing) override {
    const sdk::EditedPlaces edited = sdk::find_edited(parameters, updates);
    const sdk::Outside outside = sdk::frozen_outside(p_, parameters);
    const std::int64_t last = *sdk::edited_layers(info, edited, p_.layers).rbegin();
    sdk::freeze_where(host_, parameters, freezing, "layers 0 to " + std::to_string(last) + " and what goes with them",
                      [&](const sdk::ParameterInfo& p) { return p.layer >= 0 ? p.layer <= last : outside.covers(p); });
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::up_to_edited

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::up_to_edited::UpToEdited>)
