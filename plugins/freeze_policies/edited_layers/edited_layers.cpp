// Freezes where the edit lives: the layers whose weights the recorded updates changed.
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <tuple>

#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::edited_layers {
namespace {

class EditedLayers : public sdk::FreezePolicy {
 public:
  struct Parameters {
    sdk::Text granularity = "block";
    std::int64_t margin = 0;
    sdk::List<std::int64_t> layers;
    bool freeze_embedding = false;
    bool freeze_final_norm = false;
    bool freeze_head = false;

    static constexpr auto fields() {
      using sdk::field;
      const auto own = std::tuple(
          field("granularity", &Parameters::granularity,
                "What of a layer is frozen: the edited matrices, its MLP with the norm before it, or all of it.")
              .choices(sdk::kGranularities),
          field("margin", &Parameters::margin, "Layers on either side of each that are frozen too.")
              .unit("layers")
              .at_least(0),
          field("layers", &Parameters::layers, sdk::kLayersDoc).unit("layer").at_least(0));
      return std::tuple_cat(own, sdk::outside_fields<Parameters>());
    }
  };
  static constexpr sdk::Info kInfo{"edited_layers", "1.1.0", "Freezes the layers that the edit changed."};

  EditedLayers(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void decide(const palimpsest_model_info& info, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView> updates, const sdk::Freezing& freezing) override {
    const sdk::EditedPlaces edited = sdk::find_edited(parameters, updates);
    const sdk::Outside outside = sdk::frozen_outside(p_, parameters);
    const bool some_outside = !edited.outside.empty();
    const std::set<std::int64_t> layers =
        sdk::with_margin(info, sdk::edited_layers(info, edited, p_.layers, some_outside), p_.margin);
    sdk::freeze_where(
        host_, parameters, freezing,
        "granularity = \"" + p_.granularity.str() + "\" over " + std::to_string(layers.size()) + " layers",
        [&](const sdk::ParameterInfo& p) {
          if (p.layer >= 0) return layers.contains(p.layer) && edited.covers(p, p_.granularity);
          return outside.covers(p) || (p_.layers.empty() && edited.outside.contains(p.name));
        });
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::edited_layers

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::edited_layers::EditedLayers>)
