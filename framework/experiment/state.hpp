// A model between two stages of a cell: its weights, and the updates that edits recorded; and the way into the stage
// store and back. A stage is always read back from its stored form, also by the run that made it, so that a resumed run
// equals an uninterrupted one bit for bit.
#pragma once

#include <filesystem>
#include <vector>

#include "model/model.hpp"
#include "model/parameters.hpp"
#include "model/update.hpp"
#include "plugin/instance.hpp"

namespace palimpsest::experiment {

struct State {
  model::Parameters edited;  // as the last stage that edits left them; the base model's before any
  model::Parameters current;
  std::vector<model::Update> updates;             // of all edits, in order
  std::vector<plugin::NamedTensor> editor_state;  // of an editor that keeps one
  // Whether `current`, or `edited`, is more than the base model and the updates: after a fine-tuning or a reapply, or
  // an edit behind one.
  bool current_beyond_updates = false;
  bool edited_beyond_updates = false;
  std::int64_t tokens_trained = 0;  // of all fine-tuning so far
  std::int64_t edit_tokens = 0;     // of all edit requests so far: prompt and target
};

State base_state(const model::Model& model);

// Writes into `folder`: updates.safetensors with where each update comes from; weights.safetensors with every current
// weight that differs from the base model's, if current_beyond_updates; edited.safetensors with every weight of
// `edited` that differs from the current one, if edited_beyond_updates.
void save_state(const State& state, const model::Model& model, const std::filesystem::path& folder);
State load_state(const std::filesystem::path& folder, const model::Model& model);

// The ABI's model over a state.
palimpsest_model model_of(const State& state, const model::Model& model, std::uint64_t seed);

}  // namespace palimpsest::experiment
