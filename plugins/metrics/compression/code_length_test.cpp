#include "code_length.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace palimpsest::compression {
namespace {

TEST(CodeLength, IsBitsOverBytesOfTheWholeSet) {
  CodeLength set;
  EXPECT_TRUE(std::isnan(set.gamma()));
  set.add({std::log(0.25), 2}, 3);      // 2 bits
  set.add({std::log(0.015625), 4}, 5);  // 6 bits
  EXPECT_DOUBLE_EQ(set.gamma(), 1);
}

TEST(Ratio, IsMissingWhereASideIsUnknown) {
  EXPECT_DOUBLE_EQ(ratio(6, 4), 1.5);
  EXPECT_TRUE(std::isnan(ratio(6, 0)));
  EXPECT_TRUE(std::isnan(ratio(std::nan(""), 4)));
  EXPECT_EQ(ratio(0, 4), 0);
}

}  // namespace
}  // namespace palimpsest::compression
