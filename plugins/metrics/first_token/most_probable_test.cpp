#include "most_probable.hpp"

#include <gtest/gtest.h>

namespace palimpsest::first_token {
namespace {

TEST(MostProbable, OrdersByLogitThenById) {
  const std::vector<float> logits = {0.5F, 2, -1, 2, 3, 0.5F};
  EXPECT_EQ(most_probable(logits, 3), (std::vector<std::int64_t>{4, 1, 3}));
  EXPECT_EQ(most_probable(logits, 5), (std::vector<std::int64_t>{4, 1, 3, 0, 5}));
  EXPECT_EQ(most_probable(logits, 0), std::vector<std::int64_t>{});
}

TEST(MostProbable, GivesAllWhereThereAreFewer) {
  const std::vector<float> logits = {1, 2};
  EXPECT_EQ(most_probable(logits, 10), (std::vector<std::int64_t>{1, 0}));
}

}  // namespace
}  // namespace palimpsest::first_token
