// How documents are cut into windows, what runs together, and what the sums say.
#include <gtest/gtest.h>

#include <cmath>

#include "palimpsest/sdk/likelihood.hpp"

namespace palimpsest::sdk {
namespace {

TEST(Windows, BlockByBlock) {
  EXPECT_EQ(windows(10, 4, 1), (std::vector<Window>{{0, 4, 1}, {3, 7, 4}, {6, 10, 7}}));
  EXPECT_EQ(windows(5, 4, 1), (std::vector<Window>{{0, 4, 1}, {3, 5, 4}}));
}

TEST(Windows, Strided) { EXPECT_EQ(windows(8, 4, 2), (std::vector<Window>{{0, 4, 1}, {2, 6, 4}, {4, 8, 6}})); }

TEST(Windows, OneIsEnoughForAShortText) {
  EXPECT_EQ(windows(4, 4, 1), (std::vector<Window>{{0, 4, 1}}));
  EXPECT_EQ(windows(2, 4, 3), (std::vector<Window>{{0, 2, 1}}));
  EXPECT_TRUE(windows(1, 4, 1).empty());
  EXPECT_TRUE(windows(0, 4, 1).empty());
}

// Whatever the sizes: every token but the first once, and behind `context` others of its window.
TEST(Windows, PredictEveryTokenOnce) {
  for (std::size_t tokens = 2; tokens < 40; ++tokens) {
    for (std::size_t size = 2; size < 12; ++size) {
      for (std::size_t context = 1; context < size; ++context) {
        std::size_t next = 1;
        for (const Window& w : windows(tokens, size, context)) {
          EXPECT_EQ(w.predict, next);
          EXPECT_LE(w.end - w.begin, size);
          EXPECT_GT(w.end, w.predict);
          if (w.begin > 0) {
            EXPECT_GE(w.predict - w.begin, context);
          }
          next = w.end;
        }
        EXPECT_EQ(next, tokens) << tokens << " " << size << " " << context;
      }
    }
  }
}

TEST(Batches, AreBoundedAndHoldAll) {
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < 500; ++i) sizes.push_back(1 + (i * 7919) % 900);
  std::vector<int> seen(sizes.size(), 0);
  for (const auto& batch : detail::batches(sizes)) {
    std::size_t longest = 0;
    for (const std::size_t place : batch) {
      ++seen[place];
      longest = std::max(longest, sizes[place]);
    }
    EXPECT_LE(batch.size(), detail::kRowsAtOnce);
    EXPECT_TRUE(batch.size() == 1 || batch.size() * longest <= detail::kTokensAtOnce);
  }
  for (const int times : seen) EXPECT_EQ(times, 1);
  EXPECT_EQ(detail::batches({100000}).size(), 1U);
}

TEST(Likelihood, IsTheMeanOverAllTokensOfAllDocuments) {
  Likelihood all;
  all.add({std::log(0.5) + std::log(0.25), 2});
  all.add({std::log(0.125), 1});
  EXPECT_EQ(all.tokens, 3);
  EXPECT_NEAR(all.mean_nll(), 2 * std::log(2.0), 1e-12);
  EXPECT_NEAR(all.perplexity(), 4, 1e-12);
  EXPECT_NEAR(all.bits(), 6, 1e-12);
}

}  // namespace
}  // namespace palimpsest::sdk
