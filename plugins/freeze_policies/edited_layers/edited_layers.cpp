// Freezes where the edit lives: the layers whose weights the recorded updates changed.
#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::edited_layers {
namespace {

constexpr const char* kGranularities[] = {"matrix", "mlp", "block", nullptr};

// `layers.5.mlp.down.weight` -> `mlp.down.weight`: the parameter's place within its layer.
std::string_view place_in_layer(std::string_view name, std::int64_t layer) {
  const std::string stem = "layers." + std::to_string(layer) + ".";
  return name.starts_with(stem) ? name.substr(stem.size()) : name;
}

class EditedLayers : public sdk::FreezePolicy {
 public:
  struct Parameters {
    sdk::Text granularity = "block";
    std::int64_t margin = 0;
    sdk::List<std::int64_t> layers;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("granularity", &Parameters::granularity,
                "What of a layer is frozen: the edited matrices, its MLP with the norm before it, or all of it.")
              .choices(kGranularities),
          field("margin", &Parameters::margin, "Layers on either side of each that are frozen too.")
              .unit("layer")
              .at_least(0),
          field("layers", &Parameters::layers,
                "Layers to freeze in place of those that the recorded updates changed, counted from 0: the unedited "
                "control has no updates and needs them said.")
              .at_least(0));
    }
  };
  static constexpr sdk::Info kInfo{"edited_layers", "1.0.0", "Freezes the layers that the edit changed."};

  EditedLayers(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void decide(const palimpsest_model_info& info, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView> updates, const sdk::Freezing& freezing) override {
    const Edited edited = find_edited(parameters, updates);
    const std::set<std::int64_t> layers = chosen_layers(info, edited);
    std::size_t frozen = 0;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!wanted(parameters[i], layers, edited)) continue;
      freezing.freeze(i);
      ++frozen;
    }
    if (frozen == 0 || frozen == parameters.size()) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "granularity = \"", p_.granularity.str(), "\" over ", layers.size(),
                " of ", info.layers, " layers freezes ", frozen, " of ", parameters.size(),
                " parameters; expected some and not all of them");
    }
    host_.log(PALIMPSEST_LOG_INFO, "frozen: " + std::to_string(frozen) + " of " + std::to_string(parameters.size()) +
                                       " parameters, in " + std::to_string(layers.size()) + " layers");
  }

 private:
  struct Edited {
    std::set<std::int64_t> layers;
    std::set<std::string, std::less<>> places;   // within their layers
    std::set<std::string, std::less<>> outside;  // names of edited parameters that belong to no layer
  };

  static Edited find_edited(std::span<const sdk::ParameterInfo> parameters, std::span<const sdk::UpdateView> updates) {
    Edited edited;
    for (const auto& update : updates) {
      const auto at = std::find_if(parameters.begin(), parameters.end(),
                                   [&](const auto& parameter) { return parameter.name == update.parameter; });
      if (at == parameters.end()) {
        sdk::fail(PALIMPSEST_NOT_FOUND, "a recorded update changed ", update.parameter,
                  ", which is none of the model's ", parameters.size(), " parameters");
      }
      if (at->layer < 0) {
        edited.outside.emplace(at->name);
      } else {
        edited.layers.insert(at->layer);
        edited.places.emplace(place_in_layer(at->name, at->layer));
      }
    }
    // The unedited control: what the project's editors of MLP memories write.
    if (edited.places.empty()) edited.places.emplace("mlp.down.weight");
    return edited;
  }

  std::set<std::int64_t> chosen_layers(const palimpsest_model_info& info, const Edited& edited) const {
    std::set<std::int64_t> centres = edited.layers;
    if (!p_.layers.empty()) {
      centres.clear();
      for (std::size_t i = 0; i < p_.layers.size(); ++i) {
        if (p_.layers[i] >= info.layers) {
          sdk::fail(PALIMPSEST_OUT_OF_RANGE, "layers names layer ", p_.layers[i], "; the model has layers 0 to ",
                    info.layers - 1);
        }
        centres.insert(p_.layers[i]);
      }
    } else if (centres.empty() && edited.outside.empty()) {
      sdk::fail(
          PALIMPSEST_INVALID_ARGUMENT,
          "the model was not edited (0 recorded updates), so its edited layers are unknown; give them as layers = "
          "[...], e.g. those of the edited cells that this one is the control of");
    }
    std::set<std::int64_t> layers;
    for (const std::int64_t centre : centres) {
      const std::int64_t last = std::min(info.layers - 1, centre + std::min(p_.margin, info.layers));
      for (std::int64_t layer = std::max<std::int64_t>(0, centre - p_.margin); layer <= last; ++layer)
        layers.insert(layer);
    }
    return layers;
  }

  bool wanted(const sdk::ParameterInfo& parameter, const std::set<std::int64_t>& layers, const Edited& edited) const {
    if (parameter.layer < 0) return p_.layers.empty() && edited.outside.contains(parameter.name);
    if (!layers.contains(parameter.layer)) return false;
    const std::string_view granularity = p_.granularity;
    if (granularity == "matrix") return edited.places.contains(place_in_layer(parameter.name, parameter.layer));
    return granularity == "block" || parameter.role.starts_with("mlp");
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::edited_layers

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::edited_layers::EditedLayers>)
