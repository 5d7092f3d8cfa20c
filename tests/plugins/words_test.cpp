#include "palimpsest/sdk/words.hpp"

#include <gtest/gtest.h>

namespace palimpsest::sdk {
namespace {

TEST(CountCharacters, CountsCodePoints) {
  EXPECT_EQ(count_characters(""), 0U);
  EXPECT_EQ(count_characters("Oslo"), 4U);
  EXPECT_EQ(count_characters("\u00c5bo"), 3U);
  EXPECT_EQ(count_characters("\u6771\u4eac"), 2U);
}

TEST(FindWords, GivesThePlace) {
  EXPECT_EQ(find_words("Anna and Ann", "Ann"), 9U);
  EXPECT_EQ(find_words("Ann and Ann", "Ann"), 0U);
  EXPECT_EQ(find_last_words("Ann and Ann or Anna", "Ann"), 8U);
  EXPECT_EQ(find_last_words("Ann", "Ann"), 0U);
  EXPECT_EQ(find_last_words("Anna", "Ann"), std::string_view::npos);
  EXPECT_EQ(find_words("Anna", ""), std::string_view::npos);
  EXPECT_EQ(find_words("under_score", "score"), std::string_view::npos);
  EXPECT_EQ(find_words("well-known", "known"), 5U);
}

TEST(FindWords, NeverMatchesInsideACutCharacter) {
  // The text ends in the first byte of a two-byte character.
  EXPECT_EQ(find_words("Bogot\xc3", "Bogot"), std::string_view::npos);
  EXPECT_EQ(find_words("\xa1"
                       "Bogot",
                       "Bogot"),
            std::string_view::npos);
}

}  // namespace
}  // namespace palimpsest::sdk
