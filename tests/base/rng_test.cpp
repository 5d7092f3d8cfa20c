#include "base/rng.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"

namespace palimpsest {
namespace {

TEST(Rng, SameSeedAndNameSameNumbers) {
  Rng a(7, "roles"), b(7, "roles"), other(7, "order"), reseeded(8, "roles");
  int equal_other = 0, equal_reseeded = 0;
  for (int i = 0; i < 100; ++i) {
    const auto draw = a();
    EXPECT_EQ(draw, b());
    equal_other += draw == other();
    equal_reseeded += draw == reseeded();
  }
  EXPECT_LT(equal_other, 3);
  EXPECT_LT(equal_reseeded, 3);
}

// Frozen numbers: a change here changes every experiment that was ever seeded.
TEST(Rng, StreamIsFrozen) {
  Rng rng(1, "frozen");
  const std::vector<std::uint32_t> first = {rng(), rng(), rng(), rng(), rng()};
  const std::vector<std::uint32_t> expected = {223282531u, 2522941744u, 3396528342u, 4105331793u, 968537448u};
  EXPECT_EQ(first, expected);
}

TEST(Rng, NumbersOfAnyPlaceAreThoseDrawnOneByOne) {
  Rng rng(5, "places");
  std::vector<std::uint32_t> drawn(50);
  for (auto& number : drawn) number = rng();
  for (std::size_t first = 0; first < 9; ++first) {
    for (std::size_t count = 0; first + count <= 20; ++count) {
      std::vector<std::uint32_t> part(count);
      rng.numbers(first, part);  // whatever was drawn before
      EXPECT_EQ(part, std::vector<std::uint32_t>(drawn.begin() + static_cast<std::ptrdiff_t>(first),
                                                 drawn.begin() + static_cast<std::ptrdiff_t>(first + count)));
    }
  }
  // Nothing moved.
  Rng fresh(5, "places");
  for (int i = 0; i < 50; ++i) fresh();
  EXPECT_EQ(rng(), fresh());
}

TEST(Rng, UniformHasTheMomentsOfTheUniform) {
  Rng rng(3, "uniform");
  double sum = 0, squares = 0;
  constexpr int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double x = rng.uniform();
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.005);
  EXPECT_NEAR(squares / n, 1.0 / 3, 0.005);
}

TEST(Rng, NormalHasTheMomentsOfTheNormal) {
  Rng rng(3, "normal");
  double sum = 0, squares = 0;
  constexpr int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0.0, 0.02);
  EXPECT_NEAR(squares / n, 1.0, 0.02);
}

TEST(Rng, SampleIsWithoutRepetition) {
  Rng rng(1, "sample");
  const auto drawn = rng.sample(50, 20);
  EXPECT_EQ(std::set<std::int64_t>(drawn.begin(), drawn.end()).size(), 20u);
  EXPECT_GE(*std::min_element(drawn.begin(), drawn.end()), 0);
  EXPECT_LT(*std::max_element(drawn.begin(), drawn.end()), 50);
  EXPECT_THROW(rng.sample(3, 4), Error);
}

TEST(Rng, BelowIsUniform) {
  Rng rng(5, "below");
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts[rng.below(7)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
}

}  // namespace
}  // namespace palimpsest
