// What a run may hold less of: bytes a trained number are in docs/models.md, "Memory of fine-tuning".
#pragma once

#include <string_view>

namespace palimpsest::training {

// Where the two moments of a weight lie.
enum class StatePlace {
  kDevice,  // where the weight lies
  kHost,    // on the CPU
};

// What the optimiser steps of a model that is held in bfloat16.
enum class Masters {
  kFloat32,  // float32 copies, of which the model sees the rounding
  kNone,     // the weights themselves, rounded stochastically
};

// Throw Error(kInvalidArgument) with what is available.
StatePlace parse_state_place(std::string_view name);
Masters parse_masters(std::string_view name);

}  // namespace palimpsest::training
