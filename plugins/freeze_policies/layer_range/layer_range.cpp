// Freezes layers first to last, and on request what belongs to no layer.
#include <cstdint>
#include <span>
#include <string>
#include <tuple>

#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::layer_range {
namespace {

class LayerRange : public sdk::FreezePolicy {
 public:
  struct Parameters {
    std::int64_t first = 0;
    std::int64_t last = 0;
    sdk::Text granularity = "block";
    bool freeze_embedding = false;
    bool freeze_final_norm = false;
    bool freeze_head = false;

    static constexpr auto fields() {
      using sdk::field;
      const auto own = std::tuple(
          field("first", &Parameters::first, "First frozen layer, counted from 0.")
              .unit("layer")
              .at_least(0)
              .required(),
          field("last", &Parameters::last, "Last frozen layer, inclusive.").unit("layer").at_least(0).required(),
          field("granularity", &Parameters::granularity,
                "What of a layer is frozen: the matrices that stand where the edit changed some, its MLP with the norm "
                "before it, or all of it.")
              .choices(sdk::kGranularities));
      return std::tuple_cat(own, sdk::outside_fields<Parameters>());
    }
  };
  static constexpr sdk::Info kInfo{"layer_range", "1.2.0", "Freezes a range of layers."};

  LayerRange(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {
    if (p_.first > p_.last) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "first is ", p_.first, " and last is ", p_.last,
                "; first must not be behind last");
    }
  }

  void decide(const palimpsest_model_info& info, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView> updates, const sdk::Freezing& freezing) override {
    if (p_.last >= info.layers) {
      sdk::fail(PALIMPSEST_OUT_OF_RANGE, "last is ", p_.last, "; the model has layers 0 to ", info.layers - 1);
    }
    const sdk::EditedPlaces edited = sdk::find_edited(parameters, updates);
    const sdk::Outside outside = sdk::frozen_outside(p_, parameters);
    sdk::freeze_where(host_, parameters, freezing,
                      "granularity = \"" + p_.granularity.str() + "\" of layers " + std::to_string(p_.first) + " to " +
                          std::to_string(p_.last) + " and what goes with them",
                      [&](const sdk::ParameterInfo& p) {
                        if (p.layer < 0) return outside.covers(p);
                        return p.layer >= p_.first && p.layer <= p_.last && edited.covers(p, p_.granularity);
                      });
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::layer_range

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::layer_range::LayerRange>)
