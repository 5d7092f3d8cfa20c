#include "success.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace palimpsest::edit_success {
namespace {

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
