#include "experiment/state.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.hpp"
#include "experiment/tensor_file.hpp"

namespace palimpsest::experiment {
namespace {

constexpr const char* kUpdates = "updates.safetensors";
constexpr const char* kWeights = "weights.safetensors";

// "007.u.layers.5.mlp.down.weight": place in the order, part, parameter.
std::string update_name(std::size_t place, std::string_view part, const std::string& parameter) {
  std::string number = std::to_string(place);
  number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
  return cat(number, ".", part, ".", parameter);
}

}  // namespace

State base_state(const model::Model& model) { return {model.parameters, model.parameters, {}, {}, false}; }

void save_state(const State& state, const model::Model& model, const std::filesystem::path& folder) {
  NamedTensors updates;
  for (std::size_t i = 0; i < state.updates.size(); ++i) {
    const model::Update& u = state.updates[i];
    if (u.u.defined()) {
      updates.emplace_back(update_name(i, "u", u.parameter), u.u);
      updates.emplace_back(update_name(i, "v", u.parameter), u.v);
    } else {
      updates.emplace_back(update_name(i, "d", u.parameter), u.dense);
    }
  }
  for (const auto& [name, value] : state.editor_state) updates.emplace_back("state." + name, value);
  write_tensors(folder / kUpdates, updates);
  if (!state.finetuned) return;
  NamedTensors weights;
  for (std::size_t i = 0; i < state.current.size(); ++i) {
    if (!state.current[i].is_same(model.parameters[i]))
      weights.emplace_back(state.current.infos()[i].name, state.current[i]);
  }
  write_tensors(folder / kWeights, weights);
}

State load_state(const std::filesystem::path& folder, const model::Model& model) {
  State state = base_state(model);
  for (const auto& [name, tensor] : read_tensors(folder / kUpdates)) {
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
  for (const auto& update : state.updates) state.current = model::apply(state.current, update);
  state.edited = state.current;
  if (std::filesystem::exists(folder / kWeights)) {
    state.current = model.parameters;
    for (const auto& [name, tensor] : read_tensors(folder / kWeights)) state.current = state.current.with(name, tensor);
    state.finetuned = true;
  }
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
