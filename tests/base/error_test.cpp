#include "base/error.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

namespace palimpsest {
namespace {

TEST(Error, CarriesCodeAndSentence) {
  try {
    fail(ErrorCode::kOutOfRange, "layer ", 31, " does not exist");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfRange);
    EXPECT_STREQ(error.what(), "layer 31 does not exist");
    return;
  }
  FAIL() << "fail() returned";
}

TEST(Error, ContextKeepsTheCode) {
  try {
    rethrow_with_context(Error(ErrorCode::kCorrupt, "bad header"), "model.safetensors");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_STREQ(error.what(), "model.safetensors: bad header");
  }
}

TEST(InQuotes, EscapesAndCuts) {
  EXPECT_EQ(in_quotes("a \"b\""), "\"a \"b\"\"");
  EXPECT_EQ(in_quotes("a\nb\x1b[2J\x7f"), "\"a\\nb\\x1b[2J\\x7f\"");
  EXPECT_EQ(in_quotes(std::string(60, 'x')), "\"" + std::string(60, 'x') + "\"");
  EXPECT_EQ(in_quotes(std::string(61, 'x')), "\"" + std::string(60, 'x') + "...\"");
  // Code points count, not bytes.
  EXPECT_EQ(in_quotes("\xC3\xA9\xC3\xA9\xC3\xA9", 2), "\"\xC3\xA9\xC3\xA9...\"");
}

TEST(DidYouMean, SuggestsOnlyNearNames) {
  constexpr std::array<std::string_view, 3> names = {"rome", "memit", "alphaedit"};
  EXPECT_EQ(did_you_mean("rmoe", names), " (did you mean \"rome\"?)");
  EXPECT_EQ(did_you_mean("alphedit", names), " (did you mean \"alphaedit\"?)");
  EXPECT_EQ(did_you_mean("something_else", names), "");
}

TEST(DidYouMean, DistanceIsLevenshtein) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("same", "same"), 0u);
}

}  // namespace
}  // namespace palimpsest
