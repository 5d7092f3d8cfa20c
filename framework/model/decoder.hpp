// The forward pass, built for editing: continue a cache, start at any layer, stop at any layer, capture or replace the
// value of any site, use other weights than the model's, and compute logits at asked positions only.
//
// Rows of different lengths come right-padded; padding is never computed in the linear layers and never changes a
// result. Nothing requires grad but what the caller marked (parameters, overrides, hidden, replacement values), and
// layers below the first such thing run without a graph. Under autocast products run in its dtype, norms and residual
// stream in float32. Thread-safe: no state but the work counters.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/cache.hpp"
#include "model/config.hpp"
#include "model/model.hpp"
#include "model/parameters.hpp"
#include "model/site.hpp"

namespace palimpsest::model {

// `position` counts within the row's own token_ids of this call, not from the cache's beginning.
struct RowPosition {
  std::int64_t row = 0;
  std::int64_t position = 0;
  friend bool operator==(const RowPosition&, const RowPosition&) = default;
};

struct TargetPosition {
  std::int64_t row = 0;
  std::int64_t position = 0;  // where the distribution is read: the target is the token after it
  std::int64_t target = 0;
};

struct Replacement {
  enum class Mode { kSet, kAdd };
  Site site;
  Mode mode = Mode::kSet;
  std::vector<RowPosition> at;  // kSet: no position twice; kAdd: positions named twice get both
  at::Tensor value;             // [n, width], or [width] for all positions; differentiable
  // Used in place of value, mode and at: sees the whole site [rows, tokens, width] (0 at padding), returns the same
  // shape.
  std::function<at::Tensor(const at::Tensor&)> callback;
};

// Used in place of a weight, differentiable: either `dense`, or W + U V^T with U [out, r] and V [in, r], of which W + U
// V^T is never formed.
struct Override {
  at::Tensor dense;
  at::Tensor u, v;
  // Of a layer's matrix with U and V only, for adapters: every row of W + U V^T times its entry of `row_scale` [out],
  // and what the change of W reads in place of the layer's input x, for dropout. With both, W x + (s - 1) W d + s U V^T
  // d, d = input(x). `input` gives the same for the same x, since a backward pass may ask again.
  at::Tensor row_scale = {};
  std::function<at::Tensor(const at::Tensor&)> input = {};
};
// By canonical parameter name. An override of embed.weight also holds for a tied head.
using Overrides = std::map<std::string, Override, std::less<>>;

struct ForwardRequest {
  at::Tensor token_ids;                  // [rows, tokens] int64, right-padded; any valid id as padding
  std::vector<std::int64_t> lengths;     // per row, 1 .. tokens; empty: all rows are full
  const Cache* cache = nullptr;          // must hold the layers that run
  std::vector<std::int64_t> cache_rows;  // which cache row each row continues; empty: row i continues row i
  bool return_cache = false;             // of the layers that ran, the continued cache included

  // Above 0 `hidden` is its input; equal to the number of layers: final norm and head only.
  std::int64_t first_layer = 0;
  at::Tensor hidden;  // [rows, tokens, hidden]; token_ids then only gives the shape and may be undefined
  // The last one that runs; -1: all. Logits then read its output through final norm and head.
  std::int64_t last_layer = -1;

  std::vector<Site> capture;         // seen after replacement
  std::vector<Replacement> replace;  // in this order where they meet
  std::vector<RowPosition> logits;
  std::vector<TargetPosition> logprobs;
  Overrides overrides;

  // While grad mode is on, keep only the input of each layer for the backward pass, which runs the layer again
  // (recomputed_layer.hpp). Layers whose sites are asked for, and all with a cache, run as ever.
  bool recompute_layers = false;
};

struct ForwardResult {
  std::vector<at::Tensor> captured;  // in the order of `capture`: [rows, tokens, width], 0 at padding
  at::Tensor logits;                 // [n, vocabulary], undefined when none was asked for
  at::Tensor logprobs;               // [n] float32, undefined when none was asked for
  at::Tensor hidden;  // [rows, tokens, hidden] after the last layer run, before the final norm; 0 at padding
  Cache cache;        // empty unless asked for
};

// Throws Error: kInvalidArgument, kOutOfRange (naming the row, position, layer, token), kNotFound (an override's name).
ForwardResult forward(const Config& config, const Parameters& parameters, const ForwardRequest& request);
inline ForwardResult forward(const Model& model, const ForwardRequest& request) {
  return forward(model.config, model.parameters, request);
}

// Training loss: mean cross-entropy of labels[r, t] != -100 predicted from the tokens before it in its row, as
// transformers computes it from unshifted labels. token_ids, labels [rows, tokens] int64, lengths and recompute_layers
// as above. Scalar float32.
at::Tensor causal_loss(const Config& config, const Parameters& parameters, const at::Tensor& token_ids,
                       const std::vector<std::int64_t>& lengths, const at::Tensor& labels,
                       const Overrides& overrides = {}, bool recompute_layers = false);

}  // namespace palimpsest::model
