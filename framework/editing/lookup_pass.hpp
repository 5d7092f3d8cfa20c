// What an edit of one layer needs of the model, at the least price: everything before a row's lookup token is run once,
// through all layers, and kept as keys and values; the lookup token and what follows it run once up to the edited
// layer; each step of an optimisation then runs only those few tokens through the layers above.
//
// The result is that of full forwards, because nothing before the lookup token can see a change at it (causality). Rows
// of several facts run together; each fact's rows get that fact's own change.
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
  // Runs the rows' prefixes and, up to `layer`, the rest. Rows of one fact stand together. `loss_layer`: the layer
  // whose output run() reads log-probabilities from, through the final norm and the head, at least `layer`; -1: the
  // last. `model` must outlive this object.
  LookupPass(const sdk::Model& model, std::vector<LookupRow> rows, std::int64_t layer, std::int64_t loss_layer = -1);

  // At the lookup tokens, before any change: input of the layer's down-projection [rows, mlp], its output [rows,
  // hidden], and the residual stream after the layer [rows, hidden].
  const at::Tensor& keys() const { return keys_; }
  const at::Tensor& values() const { return values_; }
  const at::Tensor& outputs() const { return outputs_; }

  struct Result {
    at::Tensor logprobs;  // [wanted], float32
    at::Tensor logits;    // [logit_rows, vocabulary] of the last layer, at the lookup tokens of those rows
  };
  // Adds deltas[f] [hidden] to the residual stream after the layer, at the lookup token of every row of fact f, and
  // runs the layers above. Rows of a fact whose delta is undefined are not run; nothing may be wanted of them.
  // Differentiable in the deltas.
  Result run(const std::vector<at::Tensor>& deltas, const std::vector<Wanted>& wanted,
             const std::vector<std::int64_t>& logit_rows) const;

 private:
  // Rows that begin with their lookup token have no prefix to continue; they make a group of their own.
  struct Group {
    std::vector<std::int64_t> rows;                 // in the whole
    std::vector<std::vector<std::int64_t>> suffix;  // tokens from the lookup on
    sdk::Cache cache;                               // of the prefixes; empty for rows without
    at::Tensor hidden;                              // [rows, tokens, hidden] after the layer
  };
  // The rows of a group that one run() needs.
  struct Part {
    std::vector<std::int64_t> rows;                 // in the whole
    std::vector<std::int64_t> places;               // in the group; empty: all of it
    std::vector<std::vector<std::int64_t>> suffix;  // tokens from the lookup on
    at::Tensor hidden;                              // [rows, tokens, hidden] after the layer, changed
  };
  // What is asked of one part, in its rows' numbers, and where it stands in the whole answer.
  struct Asked {
    std::vector<sdk::Position> targets, logits;
    std::vector<std::int64_t> target_ids;
  };
  void add_group(std::vector<std::int64_t> rows, bool with_prefix);
  Part part_of(const Group& group, const std::vector<at::Tensor>& deltas) const;
  Result run_part(const Group& group, const Part& part, const Asked& asked) const;
  Result run_to_loss_layer(const Group& group, const Part& part, const Asked& asked) const;

  const sdk::Model* model_;
  std::vector<LookupRow> rows_;
  std::int64_t layer_, loss_layer_;
  std::vector<Group> groups_;
  at::Tensor keys_, values_, outputs_;
};

}  // namespace palimpsest::editing
