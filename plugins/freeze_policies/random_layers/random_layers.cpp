// The control for edited_layers: as many parameters, in layers drawn by the cell's seed from those that were not
// edited.
#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::random_layers {
namespace {

constexpr const char* kStream = "freeze_policy/random_layers";

class RandomLayers : public sdk::FreezePolicy {
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
                "What of a layer is frozen: the matrices that stand where the edit changed some, its MLP with the norm "
                "before it, or all of it.")
              .choices(sdk::kGranularities),
          field("margin", &Parameters::margin,
                "As in edited_layers: layers on either side of each edited one that it would freeze too.")
              .unit("layers")
              .at_least(0),
          field("layers", &Parameters::layers, sdk::kLayersDoc).unit("layer").at_least(0));
      return std::tuple_cat(own, sdk::outside_fields<Parameters>());
    }
  };
  static constexpr sdk::Info kInfo{"random_layers", "1.0.0",
                                   "Freezes as much as edited_layers would, in layers drawn by lot."};

  RandomLayers(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void decide(const palimpsest_model_info& info, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView> updates, const sdk::Freezing& freezing) override {
    const sdk::EditedPlaces edited = sdk::find_edited(parameters, updates);
    if (p_.layers.empty() && !edited.outside.empty()) {
      sdk::fail(
          PALIMPSEST_INVALID_ARGUMENT, "the edit changed ", *edited.outside.begin(),
          ", which belongs to no layer, so edited_layers freezes it and no other layers are as much; give layers = "
          "[...]");
    }
    const sdk::Outside outside = sdk::frozen_outside(p_, parameters);
    const std::set<std::int64_t> replaced =
        sdk::with_margin(info, sdk::edited_layers(info, edited, p_.layers), p_.margin);
    const std::set<std::int64_t> drawn = draw(info, replaced);
    std::int64_t wanted = 0, found = 0;
    for (const auto& p : parameters) {
      if (p.layer < 0 || !edited.covers(p, p_.granularity)) continue;
      wanted += replaced.contains(p.layer) ? p.rows * p.columns : 0;
      found += drawn.contains(p.layer) ? p.rows * p.columns : 0;
    }
    if (wanted != found) {
      sdk::fail(PALIMPSEST_UNSUPPORTED, "layers ", sdk::names_of(replaced), " have ", wanted, " numbers and layers ",
                sdk::names_of(drawn), " ", found, "; this control needs layers of equal size");
    }
    sdk::freeze_where(host_, parameters, freezing, "layers " + sdk::names_of(drawn), [&](const sdk::ParameterInfo& p) {
      return p.layer >= 0 ? drawn.contains(p.layer) && edited.covers(p, p_.granularity) : outside.covers(p);
    });
    host_.log(PALIMPSEST_LOG_INFO,
              "drawn layers: " + sdk::names_of(drawn) + ", in place of " + sdk::names_of(replaced));
  }

 private:
  // The layers with the smallest of one number a layer: for a given seed the order in which layers come is the same
  // whatever was edited.
  std::set<std::int64_t> draw(const palimpsest_model_info& info, const std::set<std::int64_t>& replaced) {
    const auto layers = static_cast<std::size_t>(info.layers);
    if (numbers_.size() != layers) numbers_ = host_.uniform(kStream, layers);
    std::vector<std::int64_t> others;
    for (std::int64_t layer = 0; layer < info.layers; ++layer) {
      if (!replaced.contains(layer)) others.push_back(layer);
    }
    if (others.size() < replaced.size()) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, replaced.size(), " of ", info.layers, " layers are to be replaced, and ",
                others.size(), " others are left to draw from; lower margin, or edit fewer layers");
    }
    std::stable_sort(others.begin(), others.end(), [&](std::int64_t a, std::int64_t b) {
      return numbers_[static_cast<std::size_t>(a)] < numbers_[static_cast<std::size_t>(b)];
    });
    return {others.begin(), others.begin() + static_cast<std::ptrdiff_t>(replaced.size())};
  }

  sdk::Host host_;
  Parameters p_;
  std::vector<double> numbers_;  // drawn once, so that a second call decides the same
};

}  // namespace
}  // namespace palimpsest::random_layers

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::random_layers::RandomLayers>)
