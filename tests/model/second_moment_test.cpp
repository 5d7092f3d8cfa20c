// Sums of k k^T, of which half is summed.
#include "model/second_moment.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace palimpsest::model {
namespace {

TEST(SecondMomentSum, IsTheSumOfOuterProducts) {
  // One panel, less than one, and several of which the last is narrower.
  for (const std::int64_t width : {256, 7, 700}) {
    SCOPED_TRACE(width);
    at::Tensor sum = at::zeros({width, width}, at::kDouble);
    at::Tensor expected = at::zeros({width, width}, at::kDouble);
    for (const std::int64_t keys : {40, 1}) {
      const at::Tensor k_ND = at::randn({keys, width}, at::kDouble);
      add_keys(sum, k_ND);
      expected += k_ND.t().mm(k_ND);
    }
    complete_sum(sum);
    EXPECT_TRUE(at::allclose(sum, expected, 1e-12, 1e-12));
  }
}

TEST(SecondMomentSum, AddsFloatProductsInDoubles) {
  const std::int64_t width = 300;
  at::Tensor sum = at::full({width, width}, 1.0 / 3.0, at::kDouble);
  add_keys(sum, at::ones({1, width}, at::kFloat));
  complete_sum(sum);
  EXPECT_TRUE(at::equal(sum, at::full({width, width}, 1.0 / 3.0 + 1.0, at::kDouble)));
}

}  // namespace
}  // namespace palimpsest::model
