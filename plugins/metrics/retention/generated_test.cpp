#include "generated.hpp"

#include <gtest/gtest.h>

namespace palimpsest::retention {
namespace {

TEST(Says, FindsWholeWordsOnly) {
  EXPECT_TRUE(says(" Paris, of course", "Paris"));
  EXPECT_TRUE(says("the city of New York.", "New York"));
  EXPECT_FALSE(says(" Parisian cafes", "Paris"));
  EXPECT_FALSE(says(" StParis", "Paris"));
  EXPECT_TRUE(says(" Parisian, then Paris", "Paris"));
  EXPECT_FALSE(says(" Paris2", "Paris"));
  EXPECT_FALSE(says(" paris", "Paris"));
  EXPECT_FALSE(says("", "Paris"));
}

TEST(Says, KnowsCharactersBeyondAscii) {
  EXPECT_FALSE(says(" Bogot\u00e1", "Bogot"));
  EXPECT_TRUE(says(" Bogot\u00e1!", "Bogot\u00e1"));
  EXPECT_TRUE(says(" \u201cParis\u201d", "Paris"));
  EXPECT_TRUE(says("\u2014Paris\u2014", "Paris"));
  EXPECT_FALSE(says(" \u00e9Paris", "Paris"));
}

TEST(Says, WantsShortTargetsFirst) {
  EXPECT_TRUE(says(" Cr. It is", "Cr"));
  EXPECT_TRUE(says("\n Cr", "Cr"));
  EXPECT_FALSE(says(" the symbol Cr", "Cr"));
  EXPECT_FALSE(says(" Crust", "Cr"));
  EXPECT_FALSE(says(" ", "Cr"));
  // Four bytes, three characters.
  EXPECT_FALSE(says(" near \u00c5bo", "\u00c5bo"));
  EXPECT_TRUE(says(" near Oslo", "Oslo"));
}

TEST(Says, MatchesTargetsThatEndInPunctuation) {
  EXPECT_TRUE(says(" Washington D.C.and", "Washington D.C."));
  EXPECT_TRUE(says(" C++ code", "C++"));
}

}  // namespace
}  // namespace palimpsest::retention
