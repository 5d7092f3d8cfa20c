#include "base/error.hpp"

#include <gtest/gtest.h>

#include <array>
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
