#include "model/token_rows.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace palimpsest::model {
namespace {

TEST(TokenRows, ArePaddedOnTheRight) {
  const std::vector<std::int64_t> longest = {5, 6, 7};
  const std::vector<std::int64_t> shortest = {8};
  const TokenRows rows = right_padded({longest, {}, shortest}, -100);
  EXPECT_EQ(rows.lengths, (std::vector<std::int64_t>{3, 0, 1}));
  EXPECT_TRUE(at::equal(rows.ids, at::tensor({5, 6, 7, -100, -100, -100, 8, -100, -100}, at::kLong).view({3, 3})));
  EXPECT_TRUE(at::equal(right_padded({shortest, longest}).ids, at::tensor({8, 0, 0, 5, 6, 7}, at::kLong).view({2, 3})));
}

}  // namespace
}  // namespace palimpsest::model
