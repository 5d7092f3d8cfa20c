#include "data/text.hpp"

#include <gtest/gtest.h>

#include "support/error_of.hpp"

namespace palimpsest::data {
namespace {

// The folded words, a space between two.
std::string words_of(std::string_view text) {
  std::string out;
  for_each_word(text, [&](std::string_view word) { out.append(out.empty() ? "" : " ").append(word); });
  return out;
}

TEST(Text, FirstInvalidByteIsFound) {
  EXPECT_FALSE(first_invalid_utf8(""));
  EXPECT_FALSE(first_invalid_utf8("plain text of more than eight bytes"));
  EXPECT_FALSE(first_invalid_utf8("\xC3\xA9 \xE6\x9D\xB1 \xF0\x9F\x98\x80 \xED\x9F\xBF \xF4\x8F\xBF\xBF"));
  EXPECT_EQ(first_invalid_utf8("12345678\xC3"), 8u);  // cut at the end
  EXPECT_EQ(first_invalid_utf8("ab\x80"
                               "cdefghijkl"),
            2u);                                                 // continuation alone
  EXPECT_EQ(first_invalid_utf8("a\xC0\x80"), 1u);                // overlong
  EXPECT_EQ(first_invalid_utf8("a\xE0\x9F\xBF"), 1u);            // overlong
  EXPECT_EQ(first_invalid_utf8("\xED\xA0\x80"), 0u);             // surrogate
  EXPECT_EQ(first_invalid_utf8("1234567\xF4\x90\x80\x80"), 7u);  // above U+10FFFF
  EXPECT_EQ(first_invalid_utf8("\xF5\x80\x80\x80"), 0u);
}

TEST(Text, RequireUtf8NamesLineAndOffset) {
  EXPECT_NO_THROW(require_utf8("good\ntext\n", "f"));
  const auto message = message_of(ErrorCode::kInvalidArgument, [] { require_utf8("one\ntwo\xFFx\n", "f.txt"); });
  EXPECT_NE(message.find("f.txt:2: byte 0xff at byte offset 7 (3 in its line) is not UTF-8"), std::string::npos)
      << message;
  const auto zero = message_of(ErrorCode::kInvalidArgument, [] { require_utf8(std::string_view("a\0b", 3), "f"); });
  EXPECT_NE(zero.find("f:1: byte 0x00 at byte offset 1"), std::string::npos) << zero;
}

TEST(Text, WordsFoldCaseAccentsAndPunctuation) {
  EXPECT_EQ(words_of("The  QUICK-brown fox's 2nd leap!"), "the quick brown fox s 2nd leap");
  // One code point, or letter and combining mark: the same word.
  EXPECT_EQ(words_of("C\xC3\x94TE"), words_of("co\xCC\x82te"));
  EXPECT_NE(words_of("c\xC3\xB4te"), "cote");
  EXPECT_EQ(words_of("STRASSE"), words_of("Stra\xC3\x9F"
                                          "e"));
  EXPECT_EQ(words_of("\xCE\xA3\xCE\x9F\xCE\xA6\xCE\x9F\xCE\xA3"), words_of("\xCF\x83\xCE\xBF\xCF\x86\xCE\xBF\xCF\x82"));
  EXPECT_EQ(words_of("\xD0\x9C\xD0\x9E\xD0\xA1\xD0\x9A\xD0\x92\xD0\x90"),
            words_of("\xD0\xBC\xD0\xBE\xD1\x81\xD0\xBA\xD0\xB2\xD0\xB0"));
  EXPECT_EQ(words_of("\xE2\x80\x9Cquoted\xE2\x80\x9D \xE2\x80\x94 dash"), "quoted dash");
  EXPECT_EQ(words_of(" ...!"), "");
}

TEST(Text, UnspacedScriptsGiveOneWordACharacter) {
  EXPECT_EQ(words_of("\xE6\x9D\xB1\xE4\xBA\xAC\xE3\x81\xAF"), "\xE6\x9D\xB1 \xE4\xBA\xAC \xE3\x81\xAF");
  EXPECT_EQ(words_of("in\xE6\x9D\xB1x"), "in \xE6\x9D\xB1 x");
}

TEST(Text, FoldTextKeepsPunctuationAndJoinsSpace) {
  EXPECT_EQ(fold_text("  The\t CAPITAL\n of X, "), "the capital of x,");
  EXPECT_EQ(fold_text("a\xC2\xA0\xE3\x80\x80"
                      "b"),
            "a b");
  EXPECT_NE(fold_text("of X,"), fold_text("of X"));
}

TEST(Text, TrimmedCutsWideSpacesToo) {
  EXPECT_EQ(trimmed(" \t a b \r\n"), "a b");
  EXPECT_EQ(trimmed("\xC2\xA0\xC3\xA9\xE3\x80\x80"), "\xC3\xA9");
  EXPECT_EQ(trimmed("   "), "");
  EXPECT_EQ(trimmed(""), "");
  EXPECT_EQ(code_points("a\xC3\xA9\xE6\x9D\xB1"), 3u);
}

}  // namespace
}  // namespace palimpsest::data
