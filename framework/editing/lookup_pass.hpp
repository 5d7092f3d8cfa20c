// What an edit of one layer needs of the model, at the price DESIGN section 4 states: everything before a row's lookup
// token is run once, through all layers, and kept as keys and values; the lookup token and what follows it run once up
// to the edited layer; each step of an optimisation then runs only those few tokens through the layers above.
//
// The result is that of full forwards, because nothing before the lookup token can see a change at it (causality).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "editing/prompts.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::editing {

// log p(target) wanted at `position` of row `row` (position in the whole row).
struct Wanted {
  std::int64_t row;
  std::int64_t position;
  std::int64_t target;
};

class LookupPass {
 public:
  // Runs the rows' prefixes and, up to `layer`, the rest. `model` must outlive this object.
  LookupPass(const sdk::Model& model, std::vector<LookupRow> rows, std::int64_t layer);

  // At the lookup tokens, before any change: input of the layer's down-projection [rows, mlp], its output [rows,
  // hidden], and the residual stream after the layer [rows, hidden].
  const at::Tensor& keys() const { return keys_; }
  const at::Tensor& values() const { return values_; }
  const at::Tensor& outputs() const { return outputs_; }

  struct Result {
    at::Tensor logprobs;  // [wanted], float32
    at::Tensor logits;    // [logit_rows, vocabulary] at the lookup tokens of those rows
  };
  // Adds `delta` [hidden] to the residual stream after the layer, at every row's lookup token, and runs the layers
  // above. Differentiable in delta.
  Result run(const at::Tensor& delta, const std::vector<Wanted>& wanted,
             const std::vector<std::int64_t>& logit_rows) const;

 private:
  // Rows that begin with their lookup token have no prefix to continue; they make a group of their own.
  struct Group {
    std::vector<std::int64_t> rows;                 // in the whole
    std::vector<std::vector<std::int64_t>> suffix;  // tokens from the lookup on
    sdk::Cache cache;                               // of the prefixes; empty for rows without
    at::Tensor hidden;                              // [rows, tokens, hidden] after the layer
  };
  void add_group(std::vector<std::int64_t> rows, bool with_prefix);

  const sdk::Model* model_;
  std::vector<LookupRow> rows_;
  std::int64_t layer_;
  std::vector<Group> groups_;
  at::Tensor keys_, values_, outputs_;
};

}  // namespace palimpsest::editing
