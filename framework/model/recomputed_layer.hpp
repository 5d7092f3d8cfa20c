// A layer of which autograd keeps the input alone: the backward pass runs it again for what its gradients need
// (activation checkpointing; Chen et al. 2016, arXiv 1604.06174).
//
// Values and gradients are those of run_layer() with a graph, to the bit: the second run has the first one's weights,
// overrides (whose `input` gives the same again) and autocast. All weights that require grad are inputs of one autograd
// function, so gradients reach them, or what stands in their place, as they reach any tensor. What the layer computes
// is alive during its own backward alone. Under autocast nothing is left in its cache, so that a loss which runs a
// layer twice adds up the gradients of the two runs in the weights' type, not autocast's. Thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/layer.hpp"

namespace palimpsest::model {

// As run_layer(). Without a memory among `tokens`. Where grad mode is off, or neither x nor a weight of the layer
// requires grad, it is run_layer(). Its gradients have no graph of their own.
at::Tensor run_recomputed_layer(const Config& config, const Weights& weights, const PassTokens& tokens,
                                std::int64_t number, const at::Tensor& x);

}  // namespace palimpsest::model
