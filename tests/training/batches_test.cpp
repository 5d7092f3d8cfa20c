#include "training/batches.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "base/error.hpp"

namespace palimpsest::training {
namespace {

std::vector<std::int64_t> ascending(std::int64_t count) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return rows;
}

std::vector<std::int64_t> epoch(BatchOrder& order, std::int64_t number) {
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < order.steps_per_epoch(); ++i) {
    const std::vector<std::int64_t> taken = order.step(number * order.steps_per_epoch() + i + 1);
    rows.insert(rows.end(), taken.begin(), taken.end());
  }
  return rows;
}

TEST(BatchOrder, EveryEpochTakesEachRowOnceInANewOrder) {
  for (const std::int64_t per_step : {1, 4, 7, 23, 40}) {
    BatchOrder order(23, per_step, 5);
    std::vector<std::vector<std::int64_t>> epochs;
    for (std::int64_t number = 0; number < 3; ++number) {
      epochs.push_back(epoch(order, number));
      std::vector<std::int64_t> sorted = epochs.back();
      std::sort(sorted.begin(), sorted.end());
      EXPECT_EQ(sorted, ascending(23)) << per_step;
    }
    EXPECT_NE(epochs[0], epochs[1]);
    EXPECT_NE(epochs[1], epochs[2]);
  }
  BatchOrder order(23, 4, 5);
  EXPECT_EQ(order.steps_per_epoch(), 6);
  EXPECT_EQ(order.step(5).size(), 4U);
  EXPECT_EQ(order.step(6).size(), 3U);
}

TEST(BatchOrder, AStepIsTheSameWheneverItIsAskedFor) {
  BatchOrder forwards(100, 8, 1), resumed(100, 8, 1), other(100, 8, 2);
  std::vector<std::vector<std::int64_t>> steps;
  for (std::int64_t step = 1; step <= 40; ++step) steps.push_back(forwards.step(step));
  EXPECT_EQ(resumed.step(31), steps[30]);
  EXPECT_EQ(resumed.step(2), steps[1]);
  EXPECT_NE(other.step(1), steps[0]);
  // The size of a step cuts the same order elsewhere.
  BatchOrder halves(100, 4, 1);
  std::vector<std::int64_t> joined = halves.step(1);
  const std::vector<std::int64_t> second = halves.step(2);
  joined.insert(joined.end(), second.begin(), second.end());
  EXPECT_EQ(joined, steps[0]);
}

TEST(BatchOrder, Refuses) {
  EXPECT_THROW(BatchOrder(0, 4, 1), Error);
  EXPECT_THROW(BatchOrder(4, 0, 1), Error);
  EXPECT_THROW(BatchOrder(4, 1, 1).step(0), Error);
}

TEST(Batches, PadsAndCounts) {
  const std::vector<Example> examples = {{{5, 6, 7}, {}}, {{8, 9}, {-100, 9}}, {{1, 2, 3, 4}, {-100, -100, -100, 4}}};
  const std::vector<std::int64_t> rows = {2, 0};
  const Batch batch = make_batch(examples, rows);
  EXPECT_TRUE(batch.token_ids.equal(at::tensor({1, 2, 3, 4, 5, 6, 7, 0}, at::kLong).view({2, 4})));
  EXPECT_TRUE(batch.labels.equal(at::tensor({-100, -100, -100, 4, 5, 6, 7, -100}, at::kLong).view({2, 4})));
  EXPECT_EQ(batch.lengths, (std::vector<std::int64_t>{4, 3}));
  EXPECT_EQ(batch.tokens, 7);
  EXPECT_EQ(batch.counted, 3);
}

TEST(Batches, ErrorsNameTheRow) {
  const auto message = [](const Example& bad) {
    const std::vector<Example> examples = {{{1, 2}, {}}, bad};
    try {
      check_examples(examples, "training data", 10, 4);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message({{1, 2}, {}}), "no error");
  EXPECT_EQ(message({{}, {}}), "training data: row 1 has no token");
  EXPECT_EQ(message({{1, 10}, {}}), "training data: row 1 holds token 10; the vocabulary is 0 to 9");
  EXPECT_EQ(message({{1, 2, 3, 4, 5}, {}}), "training data: row 1 has 5 tokens; the model takes at most 4");
  EXPECT_NE(message({{1, 2}, {1}}).find("2 tokens and 1 labels"), std::string::npos);
  EXPECT_NE(message({{1, 2}, {1, -1}}).find("label -1"), std::string::npos);
  EXPECT_NE(message({{1, 2}, {2, -100}}).find("nothing to learn"), std::string::npos);
  EXPECT_NE(message({{1}, {}}).find("nothing to learn"), std::string::npos);
}

}  // namespace
}  // namespace palimpsest::training
