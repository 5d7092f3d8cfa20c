// How much memory a worker of a cell wants, phase by phase, from sizes alone: what each phase holds at its fullest.
//
// Counted from the config, the model's shapes and what the editor says that it needs; nothing is opened or run, so the
// model's device need not be there. What a plugin keeps for itself is not in it, and where a freeze policy freezes or
// fine-tuning is short, less is wanted. Compared with measured workers in docs/large-models.md. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "config/experiment.hpp"
#include "model/config.hpp"
#include "model/parameters.hpp"
#include "plugin/instance.hpp"

namespace palimpsest::app {

// Of one worker. Host memory is what the system calls resident, mapped files included; device memory is counted only
// where the model is on a GPU.
struct Bytes {
  double host = 0, device = 0;
};

struct MemoryPart {
  std::string what;
  Bytes bytes;
};

// Bytes that lie where the model is.
MemoryPart beside_model(const config::Experiment& experiment, std::string what, double bytes);

struct MemoryPhase {
  std::string name;
  std::vector<MemoryPart> parts;
  Bytes total() const;
};

// A model's weights as its files have them.
struct StoredWeights {
  double bytes = 0;  // all of them
  // Numbers that a model on the CPU uses where they lie in the mapped files, when it is held in that type; the others
  // are copied.
  double in_place_float32 = 0, in_place_bfloat16 = 0;
};
// Of parameters opened in place.
StoredWeights stored_weights(const model::Parameters& opened);
// Of weights that are not there, by the number format that config.json states (float32 if none).
StoredWeights stored_weights(const model::Config& config);

// What the answer depends on.
struct WorkerSizes {
  config::Experiment experiment;
  model::Config model;
  StoredWeights stored;
  plugin::EditorNeeds needs;
  bool edits = false;  // some stage edits, and the editor says that it edits something
};

// Of the head's weight where a product in bfloat16 takes a float32 copy of it (model/product); 0 elsewhere. `bfloat16`:
// products are in it, by the model's type or autocast.
double widened_head(const WorkerSizes& sizes, bool bfloat16);

// The phases that the cell has, in the order in which a run comes to them. Each is a process of its own.
std::vector<MemoryPhase> memory_of(const WorkerSizes& sizes);

// The model is not on the CPU: device memory is what is short.
bool on_device(const config::Experiment& experiment);
// Of the memory that the model is in.
double wanted(const MemoryPhase& phase, const config::Experiment& experiment);
const MemoryPhase& largest(const std::vector<MemoryPhase>& phases, const config::Experiment& experiment);

}  // namespace palimpsest::app
