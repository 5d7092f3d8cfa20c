// What freeze policies share: which layers an edit changed, how much of a layer is meant, what belongs to no layer, and
// the checks that no choice freezes nothing or everything. Needs no libtorch.
//
// In a model whose head is tied to its embedding they are one parameter: whoever freezes or trains the embedding
// freezes or trains the head with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/kinds.hpp"
#include "palimpsest/sdk/params.hpp"

namespace palimpsest::sdk {

// How much of a layer: the matrices that the edit changed, its MLP with the norm before it, or all of it.
inline constexpr const char* kGranularities[] = {"matrix", "mlp", "block", nullptr};

// `layers.5.mlp.down.weight` -> `mlp.down.weight`: the parameter's place within its layer.
inline std::string_view place_in_layer(std::string_view name, std::int64_t layer) {
  const std::string stem = "layers." + std::to_string(layer) + ".";
  return name.starts_with(stem) ? name.substr(stem.size()) : name;
}

inline bool is_mlp(const ParameterInfo& parameter) { return parameter.role.starts_with("mlp"); }
inline bool is_attention(const ParameterInfo& parameter) { return parameter.role.starts_with("attention"); }
// Learned positions included.
inline bool is_embedding(const ParameterInfo& parameter) {
  return parameter.role == "embedding" || parameter.role == "position_embedding";
}

// What the recorded updates changed.
struct EditedPlaces {
  std::set<std::int64_t> layers;
  std::set<std::string, std::less<>> places;   // within their layers
  std::set<std::string, std::less<>> outside;  // names of edited parameters that belong to no layer

  // Of a parameter that belongs to a layer.
  bool covers(const ParameterInfo& parameter, std::string_view granularity) const {
    if (granularity == "matrix") return places.contains(place_in_layer(parameter.name, parameter.layer));
    return granularity == "block" || is_mlp(parameter);
  }
};

// Of an unedited model: no layer, and as places what editors of MLP memories write. Throws Error(PALIMPSEST_NOT_FOUND)
// for an update of a parameter that the model does not have.
inline EditedPlaces find_edited(std::span<const ParameterInfo> parameters, std::span<const UpdateView> updates) {
  EditedPlaces edited;
  for (const auto& update : updates) {
    const auto at = std::find_if(parameters.begin(), parameters.end(),
                                 [&](const auto& parameter) { return parameter.name == update.parameter; });
    if (at == parameters.end()) {
      fail(PALIMPSEST_NOT_FOUND, "a recorded update changed ", update.parameter, ", which is none of the model's ",
           parameters.size(), " parameters");
    }
    if (at->layer < 0) {
      edited.outside.emplace(at->name);
    } else {
      edited.layers.insert(at->layer);
      edited.places.emplace(place_in_layer(at->name, at->layer));
    }
  }
  if (edited.places.empty()) edited.places.emplace("mlp.down.weight");
  return edited;
}

inline constexpr const char* kLayersDoc =
    "Layers that count as edited, in place of those that the recorded updates changed, counted from 0: the unedited "
    "control has no updates and needs them said.";

// `given`, the parameter that kLayersDoc documents, or the layers of the updates. Throws PALIMPSEST_OUT_OF_RANGE for a
// layer that the model does not have, PALIMPSEST_INVALID_ARGUMENT when there are none (unless `may_be_empty`).
inline std::set<std::int64_t> edited_layers(const palimpsest_model_info& info, const EditedPlaces& edited,
                                            const List<std::int64_t>& given, bool may_be_empty = false) {
  std::set<std::int64_t> layers;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] >= info.layers) {
      fail(PALIMPSEST_OUT_OF_RANGE, "layers names layer ", given[i], "; the model has layers 0 to ", info.layers - 1);
    }
    layers.insert(given[i]);
  }
  if (layers.empty()) layers = edited.layers;
  if (layers.empty() && !may_be_empty) {
    fail(PALIMPSEST_INVALID_ARGUMENT,
         edited.outside.empty()
             ? "the model was not edited (0 recorded updates), so its edited layers are unknown; give them as layers = "
               "[...], e.g. those of the edited cells that this one is the control of"
             : "the edit changed no layer, only parameters that belong to none, such as the embedding; give layers = "
               "[...], or use another policy");
  }
  return layers;
}

// `centres` and `margin` layers on either side of each.
inline std::set<std::int64_t> with_margin(const palimpsest_model_info& info, const std::set<std::int64_t>& centres,
                                          std::int64_t margin) {
  std::set<std::int64_t> layers;
  for (const std::int64_t centre : centres) {
    const std::int64_t last = std::min(info.layers - 1, centre + std::min(margin, info.layers));
    for (std::int64_t layer = std::max<std::int64_t>(0, centre - margin); layer <= last; ++layer) layers.insert(layer);
  }
  return layers;
}

// What of the parameters that belong to no layer is meant.
struct Outside {
  bool embedding = false;
  bool final_norm = false;
  bool head = false;

  bool covers(const ParameterInfo& parameter) const {
    if (is_embedding(parameter)) return embedding;
    if (parameter.role == "final_norm") return final_norm;
    return parameter.role == "head" && head;
  }
  // Throws when the head is meant and the embedding is not, and they are one. `of_head`, `of_embedding`: the names of
  // the policy's parameters.
  void check(std::span<const ParameterInfo> parameters, std::string_view of_head, std::string_view of_embedding) const {
    const bool tied =
        std::none_of(parameters.begin(), parameters.end(), [](const auto& p) { return p.role == "head"; });
    if (head && tied && !embedding) {
      fail(PALIMPSEST_INVALID_ARGUMENT, of_head, " = true, and this model's head is its embedding (tied); use ",
           of_embedding, " = true, which holds for both");
    }
  }
};

inline constexpr const char* kFreezeEmbeddingDoc =
    "Freeze the embeddings too, learned positions included; a tied head is frozen with them.";
inline constexpr const char* kFreezeFinalNormDoc = "Freeze the norm before the head too.";
inline constexpr const char* kFreezeHeadDoc = "Freeze the head too; an error where it is tied to the embedding.";

// `freeze_embedding`, `freeze_final_norm` and `freeze_head`, which P has as members.
template <typename P>
constexpr auto outside_fields() {
  return std::tuple(field("freeze_embedding", &P::freeze_embedding, kFreezeEmbeddingDoc),
                    field("freeze_final_norm", &P::freeze_final_norm, kFreezeFinalNormDoc),
                    field("freeze_head", &P::freeze_head, kFreezeHeadDoc));
}

// What they freeze; checked.
template <typename P>
Outside frozen_outside(const P& p, std::span<const ParameterInfo> parameters) {
  const Outside outside{p.freeze_embedding, p.freeze_final_norm, p.freeze_head};
  outside.check(parameters, "freeze_head", "freeze_embedding");
  return outside;
}

// Freezes every parameter that `wanted(parameter)` names, and logs how much that is. Throws PALIMPSEST_INVALID_ARGUMENT
// when it is none or all of them; `choice` says in the message what was chosen.
template <typename Wanted>
void freeze_where(const Host& host, std::span<const ParameterInfo> parameters, const Freezing& freezing,
                  std::string_view choice, Wanted&& wanted) {
  std::size_t frozen = 0;
  std::int64_t numbers = 0, all = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::int64_t size = parameters[i].rows * parameters[i].columns;
    all += size;
    if (!wanted(parameters[i])) continue;
    ++frozen;
    numbers += size;
  }
  if (frozen == 0 || frozen == parameters.size()) {
    fail(PALIMPSEST_INVALID_ARGUMENT, choice, ": that freezes ", frozen, " of ", parameters.size(),
         " parameters; expected some and not all of them");
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (wanted(parameters[i])) freezing.freeze(i);
  }
  host.log(PALIMPSEST_LOG_INFO, "frozen: " + std::to_string(frozen) + " of " + std::to_string(parameters.size()) +
                                    " parameters, " + std::to_string(numbers) + " of " + std::to_string(all) +
                                    " numbers");
}

// Freezes the same part of every layer, and on request what belongs to no layer.
class PartOfEveryLayer : public FreezePolicy {
 public:
  struct Parameters {
    bool freeze_embedding = false;
    bool freeze_final_norm = false;
    bool freeze_head = false;
    static constexpr auto fields() { return outside_fields<Parameters>(); }
  };

  void decide(const palimpsest_model_info&, std::span<const ParameterInfo> parameters, std::span<const UpdateView>,
              const Freezing& freezing) override {
    const Outside outside = frozen_outside(p_, parameters);
    freeze_where(host_, parameters, freezing, choice_,
                 [&](const ParameterInfo& p) { return p.layer >= 0 ? part_(p) : outside.covers(p); });
  }

 protected:
  // `choice` says in a message what `part` names; it has static storage.
  PartOfEveryLayer(Host host, const Parameters& parameters, const char* choice, bool (*part)(const ParameterInfo&))
      : host_(host), p_(parameters), choice_(choice), part_(part) {}

 private:
  Host host_;
  Parameters p_;
  const char* choice_;
  bool (*part_)(const ParameterInfo&);
};

// "2, 5, 6", for messages.
inline std::string names_of(const std::set<std::int64_t>& layers) {
  std::string names;
  for (const std::int64_t layer : layers) names += (names.empty() ? "" : ", ") + std::to_string(layer);
  return names;
}

}  // namespace palimpsest::sdk
