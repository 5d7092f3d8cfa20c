// Keys of many rows at several layers, and what the last of these layers gives, under weights that change from one
// layer to the next: one pass up to the first layer, then resumes from the layer whose weight has changed.
//
// Rows end at their lookup token: by causality nothing behind it has a part. Layers are asked for in ascending order;
// before each, the caller may change weights of the layer asked for last, and of no other.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "editing/prompts.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::editing {

class KeyPass {
 public:
  // `outputs_of`: the rows whose output of `last_layer` is wanted. `model` must outlive this object.
  KeyPass(const sdk::Model& model, std::vector<LookupRow> rows, const std::vector<std::int64_t>& outputs_of,
          std::int64_t last_layer);

  struct Reached {
    at::Tensor keys;     // [rows, mlp], input of the layer's down-projection at the lookup tokens
    at::Tensor outputs;  // [outputs_of, hidden], residual stream after `last_layer` at the lookup tokens
  };
  // Runs on to `layer`, at most `last_layer`, under the current weights.
  Reached reach(std::int64_t layer);

 private:
  // Rows that run together.
  struct Chunk {
    std::vector<std::int64_t> rows;              // in the whole
    std::vector<std::vector<std::int64_t>> ids;  // up to the lookup token
    std::vector<std::int64_t> wanted;            // places in the chunk of the rows in outputs_of
    at::Tensor entering;                         // [rows, tokens, hidden], input of layer `at_`; undefined for layer 0
  };
  const sdk::Model* model_;
  std::int64_t row_count_, last_layer_;
  std::int64_t at_ = 0;
  std::vector<Chunk> chunks_;
  std::vector<std::int64_t> place_;  // of each row in outputs_of; -1: not in it
  std::int64_t outputs_ = 0;
};

}  // namespace palimpsest::editing
