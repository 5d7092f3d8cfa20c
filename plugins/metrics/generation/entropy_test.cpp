#include "entropy.hpp"

#include <gtest/gtest.h>

namespace palimpsest::generation {
namespace {

using Pieces = std::vector<std::string_view>;

TEST(Pieces, AreWordsAndSigns) {
  EXPECT_EQ(pieces("Zürich, is it?\n So_so"), (Pieces{"Zürich", ",", "is", "it", "?", "So_so"}));
  EXPECT_EQ(pieces("  "), Pieces{});
  EXPECT_EQ(pieces("a\u2026"), (Pieces{"a", "\u2026"}));
}

// By hand: the bigrams of "a b a b a" are ab ba ab ba, each with frequency 1/2.
TEST(NgramEntropy, ByHand) {
  EXPECT_DOUBLE_EQ(ngram_entropy(pieces("a b a b a"), 2), 1);
  EXPECT_DOUBLE_EQ(ngram_entropy(pieces("a b c d e"), 2), 2);
  EXPECT_DOUBLE_EQ(ngram_entropy(pieces("a a a a"), 2), 0);
  // aab aba: 1/2 each.
  EXPECT_DOUBLE_EQ(ngram_entropy(pieces("a a b a"), 3), 1);
  EXPECT_DOUBLE_EQ(ngram_entropy(pieces("a b"), 3), 0);
  // Frequencies 3/4 and 1/4.
  EXPECT_NEAR(ngram_entropy(pieces("a a a a b"), 2), 0.8112781244591328, 1e-15);
}

TEST(WeightedEntropy, CountsTrigramsTwice) {
  EXPECT_DOUBLE_EQ(weighted_entropy(3, 0), 1);
  EXPECT_DOUBLE_EQ(weighted_entropy(0, 3), 2);
  EXPECT_DOUBLE_EQ(weighted_entropy(4, 4), 4);
}

}  // namespace
}  // namespace palimpsest::generation
