#include "base/utf8.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace palimpsest {
namespace {

// By the definition: one of four forms, the shortest, no surrogate, at most U+10FFFF.
std::string encoded(char32_t point) {
  const auto byte = [](char32_t value) { return static_cast<char>(static_cast<unsigned char>(value)); };
  if (point < 0x80) return {byte(point)};
  if (point < 0x800) return {byte(0xC0 | (point >> 6)), byte(0x80 | (point & 0x3F))};
  if (point < 0x10000) {
    return {byte(0xE0 | (point >> 12)), byte(0x80 | ((point >> 6) & 0x3F)), byte(0x80 | (point & 0x3F))};
  }
  return {byte(0xF0 | (point >> 18)), byte(0x80 | ((point >> 12) & 0x3F)), byte(0x80 | ((point >> 6) & 0x3F)),
          byte(0x80 | (point & 0x3F))};
}

TEST(Utf8, EveryCodePointIsOneStepAndASurrogateIsNone) {
  for (char32_t point = 0; point <= 0x10FFFF; ++point) {
    const std::string text = std::string("a").append(encoded(point)).append("b");
    const Utf8Step step = utf8_step(text, 1);
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    ASSERT_EQ(step.ok, !surrogate) << static_cast<std::uint32_t>(point);
    if (surrogate) continue;
    ASSERT_EQ(static_cast<std::uint32_t>(step.point), static_cast<std::uint32_t>(point));
    ASSERT_EQ(step.size, text.size() - 2);
    // Cut anywhere, what is left is one piece.
    for (std::size_t size = 2; size + 1 < text.size(); ++size) {
      const Utf8Step cut = utf8_step(std::string_view(text).substr(0, size), 1);
      ASSERT_FALSE(cut.ok);
      ASSERT_EQ(cut.size, size - 1);
    }
  }
}

// Whatever lead byte and second byte: accepted exactly when they begin what a code point is written as.
TEST(Utf8, NothingElseIsOk) {
  for (unsigned lead = 0x80; lead < 0x100; ++lead) {
    for (unsigned second = 0; second < 0x100; ++second) {
      const std::string text = {static_cast<char>(lead), static_cast<char>(second), '\x80', '\x80'};
      const Utf8Step step = utf8_step(text, 0);
      if (step.ok) {
        EXPECT_EQ(encoded(step.point), text.substr(0, step.size)) << lead << " " << second;
      } else {
        EXPECT_EQ(step.size, 1U) << lead << " " << second;
      }
    }
  }
  EXPECT_FALSE(utf8_step("\xF4\x90\x80\x80", 0).ok);
  EXPECT_FALSE(utf8_step("\xC0\x80", 0).ok);
}

}  // namespace
}  // namespace palimpsest
