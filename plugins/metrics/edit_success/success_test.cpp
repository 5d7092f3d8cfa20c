#include "success.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace palimpsest::edit_success {
namespace {

TEST(HarmonicMean, IsThatOfThreeShares) {
  EXPECT_DOUBLE_EQ(harmonic_mean(1, 1, 1), 1);
  EXPECT_DOUBLE_EQ(harmonic_mean(1, 0.5, 0.25), 3.0 / 7.0);
  EXPECT_DOUBLE_EQ(harmonic_mean(0.25, 1, 0.5), 3.0 / 7.0);
  EXPECT_EQ(harmonic_mean(1, 0, 1), 0);
}

TEST(HarmonicMean, IsMissingWhereOneIs) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(harmonic_mean(nan, 1, 1)));
  EXPECT_TRUE(std::isnan(harmonic_mean(1, nan, 0)));
}

TEST(Mean, IsNanWhileEmpty) {
  Mean mean;
  EXPECT_TRUE(mean.empty());
  EXPECT_TRUE(std::isnan(mean.value()));
  mean.add(1);
  mean.add(0);
  mean.add(0.5);
  EXPECT_DOUBLE_EQ(mean.value(), 0.5);
  EXPECT_EQ(mean.count(), 3);
}

}  // namespace
}  // namespace palimpsest::edit_success
