// One layer of the decoder, from the residual stream before it to the one after it.
//
// A plain function of its arguments, but for a memory, which takes the layer's keys and values: a backward pass may run
// a layer again and gets the same bits. Activations are packed, [tokens of all rows, width]. Thread-safe without a
// memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "model/attention.hpp"
#include "model/batch.hpp"
#include "model/config.hpp"
#include "model/rotary.hpp"
#include "model/site.hpp"
#include "model/weights.hpp"

namespace palimpsest::model {

// The tokens of a pass, as all its layers see them.
struct PassTokens {
  Batch batch;
  Past past;
  RotaryTable rotary;  // their angles; undefined where positions are learned
};

// Sees what a site of the layer holds, packed, and gives what it holds from then on.
using Visit = std::function<at::Tensor(SitePoint point, at::Tensor value)>;

// x and the result [count, hidden]. `visit` may be empty.
at::Tensor run_layer(const Config& config, const Weights& weights, const PassTokens& tokens, std::int64_t number,
                     const at::Tensor& x, const Visit& visit = {});

// x through the norm `stem`.weight (and `stem`.bias).
at::Tensor run_norm(const Config& config, const Weights& weights, const std::string& stem, const at::Tensor& x);

}  // namespace palimpsest::model
