#include "base/layout.hpp"

#include <gtest/gtest.h>

namespace palimpsest {
namespace {

TEST(Layout, WordsKeepToTheWidth) {
  EXPECT_EQ(wrapped("  two\n words ", "* ", "  "), "* two words\n");
  const std::string half(49, 'x');
  EXPECT_EQ(wrapped(half + " " + half + " end", "", "# "), half + " " + half + "\n# end\n");
  EXPECT_EQ(wrapped(half + " " + half + "y end", "", "  "), half + " " + half + "y\n  end\n");
  EXPECT_EQ(wrapped(half + " " + half + "yz", "", "  "), half + "\n  " + half + "yz\n");
  EXPECT_EQ(wrapped("", "> ", "  "), "> \n");
}

TEST(Layout, AWordLongerThanALineIsBroken) {
  EXPECT_EQ(wrapped(std::string(150, 'x'), "", "  "), std::string(100, 'x') + "\n  " + std::string(50, 'x') + "\n");
}

TEST(Layout, WidthsAreThoseOfCodePoints) {
  std::string word;
  for (int i = 0; i < 99; ++i) word += "\u00e4";
  EXPECT_EQ(wrapped(word + " b", "", ""), word + "\nb\n");
  EXPECT_EQ(aligned({{"\u00e4", "1"}, {"bb", "22"}}), "  \u00e4    1\n  bb  22\n");
}

TEST(Layout, LinesOfATableEndWithoutSpaces) {
  EXPECT_EQ(aligned({{"name", "value", ""}, {"a", "1", ""}}), "  name  value\n  a         1\n");
}

}  // namespace
}  // namespace palimpsest
