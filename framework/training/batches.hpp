// Which examples each step takes, and their tensors.
//
// The order is a function of (number of rows, seed, epoch) alone: any step can be asked for at any time, so a run that
// is taken up again at step n sees what an uninterrupted one sees. Each epoch takes every row once, in a new order; its
// last step takes what is left.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace palimpsest::training {

// A packed block, or a padded task's example.
struct Example {
  std::vector<std::int64_t> token_ids;
  std::vector<std::int64_t> labels;  // as long as token_ids, -100 ignored; empty: every token is its own label
};

// Labels that count: labels[t] != -100 for t of 1 or more, since the first token has nothing to be predicted from.
std::int64_t counted_labels(const Example& example);

// Throws Error naming `what` and the row: kInvalidArgument (no token, labels of another length, no label that counts),
// kOutOfRange (a token or label outside the vocabulary, more tokens than the model has positions).
void check_examples(std::span<const Example> examples, std::string_view what, std::int64_t vocabulary,
                    std::int64_t max_positions);

struct Batch {
  at::Tensor token_ids;               // [rows, longest] int64, padded on the right with 0
  at::Tensor labels;                  // the same, padded with -100
  std::vector<std::int64_t> lengths;  // per row
  std::int64_t tokens = 0;            // without padding
  std::int64_t counted = 0;           // labels that count
};

// `rows` index `examples`, at least one.
Batch make_batch(std::span<const Example> examples, std::span<const std::int64_t> rows);

class BatchOrder {
 public:
  // Throws Error(kInvalidArgument) for no rows or fewer than one row per step.
  BatchOrder(std::int64_t rows, std::int64_t rows_per_step, std::uint64_t seed);

  std::int64_t steps_per_epoch() const { return (rows_ + rows_per_step_ - 1) / rows_per_step_; }
  // The rows of step 1, 2, ...; at most rows_per_step.
  std::vector<std::int64_t> step(std::int64_t step);

 private:
  std::int64_t rows_, rows_per_step_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;  // the one that order_ belongs to
  std::vector<std::int64_t> order_;
};

}  // namespace palimpsest::training
