#include "perplexity.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace palimpsest::language_modeling {
namespace {

TEST(Likelihood, IsTheMeanOverAllTokensOfAllBatches) {
  const std::vector<float> first = {std::log(0.5F), std::log(0.25F)}, second = {std::log(0.125F)};
  Likelihood likelihood;
  likelihood.add(first);
  likelihood.add(second);
  EXPECT_EQ(likelihood.tokens, 3);
  EXPECT_NEAR(likelihood.mean_nll(), 2 * std::log(2.0), 1e-6);
  EXPECT_NEAR(likelihood.perplexity(), 4, 1e-5);
}

}  // namespace
}  // namespace palimpsest::language_modeling
