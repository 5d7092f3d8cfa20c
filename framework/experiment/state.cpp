#include "experiment/state.hpp"

#include <ATen/ATen.h>

#include <map>

#include "base/error.hpp"
#include "experiment/tensor_file.hpp"

namespace palimpsest::experiment {
namespace {

constexpr const char* kUpdates = "updates.safetensors";
constexpr const char* kWeights = "weights.safetensors";
constexpr const char* kEdited = "edited.safetensors";
constexpr const char* kCounts = "counts";  // int64 [2]: tokens trained, edit tokens

// Six digits, so that names sort as numbers do.
std::string padded(std::size_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
  return digits;
}

// "000007.u.layers.5.mlp.down.weight": place in the order, part, parameter.
std::string update_name(std::size_t place, std::string_view part, const std::string& parameter) {
  return cat(padded(place), ".", part, ".", parameter);
}
std::string ordinal_name(std::size_t place) { return padded(place) + ".ordinal"; }
std::string fact_name(std::size_t place, std::size_t request) { return cat(padded(place), ".fact.", padded(request)); }

// Every tensor of `parameters` that is not the very one of `others`.
NamedTensors different(const model::Parameters& parameters, const model::Parameters& others) {
  NamedTensors weights;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].is_same(others[i])) weights.emplace_back(parameters.infos()[i].name, parameters[i]);
  }
  return weights;
}

model::Parameters with(model::Parameters parameters, const NamedTensors& weights) {
  for (const auto& [name, tensor] : weights) parameters = parameters.with(name, tensor);
  return parameters;
}

}  // namespace

State base_state(const model::Model& model) { return {model.parameters, model.parameters, {}, {}, false, false, 0, 0}; }

void save_state(const State& state, const model::Model& model, const std::filesystem::path& folder) {
  NamedTensors updates;
  std::map<std::string, std::string> origins;
  for (std::size_t i = 0; i < state.updates.size(); ++i) {
    const model::Update& u = state.updates[i];
    if (u.u.defined()) {
      updates.emplace_back(update_name(i, "u", u.parameter), u.u);
      updates.emplace_back(update_name(i, "v", u.parameter), u.v);
    } else {
      updates.emplace_back(update_name(i, "d", u.parameter), u.dense);
    }
    origins[ordinal_name(i)] = std::to_string(u.ordinal);
    for (std::size_t r = 0; r < u.facts.size(); ++r) origins[fact_name(i, r)] = u.facts[r];
  }
  for (const auto& [name, value] : state.editor_state) updates.emplace_back("state." + name, value);
  updates.emplace_back(kCounts, at::tensor({state.tokens_trained, state.edit_tokens}, at::kLong));
  write_tensors(folder / kUpdates, updates, origins);
  if (state.current_beyond_updates) write_tensors(folder / kWeights, different(state.current, model.parameters));
  if (state.edited_beyond_updates) write_tensors(folder / kEdited, different(state.edited, state.current));
}

State load_state(const std::filesystem::path& folder, const model::Model& model) {
  State state = base_state(model);
  std::map<std::string, std::string> origins;
  for (const auto& [name, tensor] : read_tensors(folder / kUpdates, &origins)) {
    if (name == kCounts) {
      state.tokens_trained = tensor[0].item<std::int64_t>();
      state.edit_tokens = tensor[1].item<std::int64_t>();
      continue;
    }
    if (name.starts_with("state.")) {
      state.editor_state.push_back({name.substr(6), tensor});
      continue;
    }
    const std::size_t dot = name.find('.');
    const std::string parameter = name.substr(dot + 3);
    switch (name.at(dot + 1)) {
      case 'u': state.updates.push_back({parameter, tensor, {}, {}}); break;
      case 'v': state.updates.back().v = tensor; break;
      default: state.updates.push_back({parameter, {}, {}, tensor}); break;
    }
  }
  for (std::size_t i = 0; i < state.updates.size(); ++i) {
    model::Update& update = state.updates[i];
    update.ordinal = std::stoll(origins.at(ordinal_name(i)));
    for (auto at = origins.find(fact_name(i, 0)); at != origins.end();
         at = origins.find(fact_name(i, update.facts.size()))) {
      update.facts.push_back(at->second);
    }
    state.current = model::apply(state.current, update);
  }
  state.edited = state.current;
  state.current_beyond_updates = std::filesystem::exists(folder / kWeights);
  if (state.current_beyond_updates) state.current = with(model.parameters, read_tensors(folder / kWeights));
  state.edited_beyond_updates = std::filesystem::exists(folder / kEdited);
  if (state.edited_beyond_updates) state.edited = with(state.current, read_tensors(folder / kEdited));
  return state;
}

palimpsest_model model_of(const State& state, const model::Model& model, std::uint64_t seed) {
  palimpsest_model made;
  made.opened = &model;
  made.base = model.parameters;
  made.edited = state.edited;
  made.current = state.current;
  made.updates = state.updates;
  made.seed = seed;
  return made;
}

}  // namespace palimpsest::experiment
