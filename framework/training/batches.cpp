#include "training/batches.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/rng.hpp"
#include "model/token_rows.hpp"

namespace palimpsest::training {
namespace {

constexpr std::int64_t kIgnored = -100;

}  // namespace

std::int64_t counted_labels(const Example& example) {
  const std::vector<std::int64_t>& labels = example.labels.empty() ? example.token_ids : example.labels;
  if (labels.empty()) return 0;
  return std::count_if(labels.begin() + 1, labels.end(), [](std::int64_t label) { return label != kIgnored; });
}

void check_examples(std::span<const Example> examples, std::string_view what, std::int64_t vocabulary,
                    std::int64_t max_positions) {
  for (std::size_t row = 0; row < examples.size(); ++row) {
    const Example& example = examples[row];
    const auto length = static_cast<std::int64_t>(example.token_ids.size());
    if (length == 0) fail(ErrorCode::kInvalidArgument, what, ": row ", row, " has no token");
    if (length > max_positions) {
      fail(ErrorCode::kOutOfRange, what, ": row ", row, " has ", length, " tokens; the model takes at most ",
           max_positions);
    }
    if (!example.labels.empty() && example.labels.size() != example.token_ids.size()) {
      fail(ErrorCode::kInvalidArgument, what, ": row ", row, " has ", length, " tokens and ", example.labels.size(),
           " labels; expected as many, or none when every token is its own label");
    }
    for (const std::int64_t token : example.token_ids) {
      if (token < 0 || token >= vocabulary) {
        fail(ErrorCode::kOutOfRange, what, ": row ", row, " holds token ", token, "; the vocabulary is 0 to ",
             vocabulary - 1);
      }
    }
    for (const std::int64_t label : example.labels) {
      if (label != kIgnored && (label < 0 || label >= vocabulary)) {
        fail(ErrorCode::kOutOfRange, what, ": row ", row, " holds label ", label, "; expected ", kIgnored, " or 0 to ",
             vocabulary - 1);
      }
    }
    if (counted_labels(example) == 0) {
      fail(ErrorCode::kInvalidArgument, what, ": row ", row, " has nothing to learn: no label after its first token");
    }
  }
}

Batch make_batch(std::span<const Example> examples, std::span<const std::int64_t> rows) {
  Batch batch;
  std::vector<std::span<const std::int64_t>> tokens;
  std::vector<std::span<const std::int64_t>> labels;
  for (const std::int64_t row : rows) {
    const Example& example = examples[static_cast<std::size_t>(row)];
    tokens.emplace_back(example.token_ids);
    labels.emplace_back(example.labels.empty() ? example.token_ids : example.labels);
    batch.tokens += static_cast<std::int64_t>(example.token_ids.size());
    batch.counted += counted_labels(example);
  }
  model::TokenRows padded = model::right_padded(tokens);
  batch.token_ids = std::move(padded.ids);
  batch.lengths = std::move(padded.lengths);
  batch.labels = model::right_padded(labels, kIgnored).ids;
  return batch;
}

BatchOrder::BatchOrder(std::int64_t rows, std::int64_t rows_per_step, std::uint64_t seed)
    : rows_(rows), rows_per_step_(rows_per_step), seed_(seed) {
  if (rows < 1) fail(ErrorCode::kInvalidArgument, "there is no row to train on");
  if (rows_per_step < 1) {
    fail(ErrorCode::kInvalidArgument, "rows per step: found ", rows_per_step, ", expected 1 or more");
  }
}

std::vector<std::int64_t> BatchOrder::step(std::int64_t step) {
  if (step < 1) fail(ErrorCode::kOutOfRange, "step ", step, ": steps are counted from 1");
  const std::int64_t epoch = (step - 1) / steps_per_epoch(), within = (step - 1) % steps_per_epoch();
  if (epoch != epoch_) {
    order_.resize(static_cast<std::size_t>(rows_));
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    Rng(seed_, cat("training.order.", epoch)).shuffle(order_);
    epoch_ = epoch;
  }
  const std::int64_t begin = within * rows_per_step_, end = std::min(begin + rows_per_step_, rows_);
  return {order_.begin() + begin, order_.begin() + end};
}

}  // namespace palimpsest::training
