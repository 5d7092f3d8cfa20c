// A model between two stages of a cell: its weights, and the updates that edits recorded; and the way into the stage
// store and back. A stage is always read back from its stored form, also by the run that made it, so that a resumed run
// equals an uninterrupted one bit for bit.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/checkpoint.hpp"
#include "model/parameters.hpp"
#include "model/update.hpp"
#include "plugin/instance.hpp"

namespace palimpsest::experiment {

struct State {
  model::Parameters edited;  // as the last stage that edits left them; the base model's before any
  model::Parameters current;
  std::vector<model::Update> updates;             // of all edits, in order
  std::vector<plugin::NamedTensor> editor_state;  // of an editor that keeps one
  bool finetuned = false;                         // weights changed beyond the updates
};

State base_state(const model::Model& model);

// Writes updates.safetensors, and weights.safetensors with every weight that differs from the base model's if the state
// is finetuned, into `folder`.
void save_state(const State& state, const model::Model& model, const std::filesystem::path& folder);
State load_state(const std::filesystem::path& folder, const model::Model& model);

// The ABI's model over a state.
palimpsest_model model_of(const State& state, const model::Model& model, std::uint64_t seed);

}  // namespace palimpsest::experiment
