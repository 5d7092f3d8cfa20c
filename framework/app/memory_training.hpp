// The part of memory.hpp that is about fine-tuning: weights, gradients, moments, and what a forward pass keeps for its
// backward pass, as framework/model and framework/training hold them. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "app/memory.hpp"

namespace palimpsest::app {

// Numbers in all parameters of such a model.
double numbers_of(const model::Config& config);
// Numbers in the matrices of layers `begin` to `end` - 1.
double matrices_of(const model::Config& config, std::int64_t begin, std::int64_t end);

// Bytes that a forward pass in the experiment's number formats keeps for the backward pass.
struct KeptForBackward {
  double layer = 0;  // of one layer, its input included
  double input = 0;  // of that, the input: all that activation checkpointing keeps
};
// `tokens` in rows of `length`; `autocast`: as training.precision says, else as the model is held.
KeptForBackward kept_for_backward(const WorkerSizes& sizes, double tokens, double length, bool autocast);

// What fine-tuning holds beside the opened model, at the fuller of two instants: the end of a forward pass, when
// activations are complete, and the end of the backward pass, when gradients are.
std::vector<MemoryPart> training_parts(const WorkerSizes& sizes);

}  // namespace palimpsest::app
