// Patterns: what they split, which code points their classes hold, and what is refused.
#include "model/tokenizer/pattern.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "model/tokenizer/bytes.hpp"
#include "model/tokenizer/classes.hpp"
#include "tokenizer/support.hpp"

namespace palimpsest::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> split(std::string_view pattern, std::string_view text, bool literal = false) {
  const SplitPattern compiled(pattern, literal);
  const CodePoints points = decode_utf8(text);
  std::vector<PieceRange> pieces;
  compiled.split(points.points, 0, pieces);
  std::vector<std::string> out;
  for (const PieceRange& piece : pieces) {
    out.emplace_back(text.substr(points.starts[piece.begin], points.starts[piece.end] - points.starts[piece.begin]));
  }
  return out;
}

TEST(Pattern, MatchesAndWhatLiesBetweenArePieces) {
  EXPECT_THAT(split(R"(\p{N}{1,3})", "ab1234c"), ElementsAre("ab", "123", "4", "c"));
  EXPECT_THAT(split(R"( ?\p{L}+|\s+(?!\S)|\s+)", "Die  Übung x"), ElementsAre("Die", " ", " Übung", " x"));
  EXPECT_THAT(split("a+b", "aab a+b", false), ElementsAre("aab", " a+b"));
  EXPECT_THAT(split("a+b", "aab a+b", true), ElementsAre("aab ", "a+b"));
  EXPECT_THAT(split("x", ""), ElementsAre());
}

TEST(Pattern, BehavioursSayWhereDelimitersGo) {
  const SplitPattern pattern("-");
  const auto pieces = [&](std::string_view text, SplitBehaviour behaviour, bool invert = false) {
    const CodePoints points = decode_utf8(text);
    std::vector<PieceRange> ranges;
    pattern.split(points.points, 0, behaviour, invert, ranges);
    std::string out;
    for (const PieceRange& range : ranges) out += cat(text.substr(range.begin, range.end - range.begin), "|");
    return out;
  };
  using enum SplitBehaviour;
  EXPECT_EQ(pieces("-a--b-", kIsolated), "-|a|-|-|b|-|");
  EXPECT_EQ(pieces("-a--b-", kRemoved), "a|b|");
  EXPECT_EQ(pieces("-a--b-", kMergedWithPrevious), "-|a-|-|b-|");
  EXPECT_EQ(pieces("-a--b-", kMergedWithNext), "-a|-|-b|-|");
  EXPECT_EQ(pieces("-a--b-", kContiguous), "-|a|--|b|-|");
  EXPECT_EQ(pieces("-a--b-", kRemoved, true), "-|-|-|-|");
  EXPECT_EQ(pieces("--", kRemoved), "");
}

TEST(Pattern, ClassesHoldOtherClassesRangesAndEscapes) {
  EXPECT_THAT(split(R"([^\s\p{L}\p{N}]+)", "a!?b…c"), ElementsAre("a", "!?", "b", "…", "c"));
  EXPECT_THAT(split(R"([\S]+)", "a\u00A0b"), ElementsAre("a", "\u00A0", "b"));
  EXPECT_THAT(split(R"([a-c\-\]\x{4E00}-\u9FA5]+)", "xa-b]東y"), ElementsAre("x", "a-b]東", "y"));
  EXPECT_THAT(split(R"([-+])", "1-2+3"), ElementsAre("1", "-", "2", "+", "3"));
  EXPECT_THAT(split(R"(\P{L}+)", "ab12"), ElementsAre("ab", "12"));
  EXPECT_THAT(split(R"(\p{^L}+)", "ab12"), ElementsAre("ab", "12"));
  EXPECT_THAT(split(R"(.+)", "ab\ncd"), ElementsAre("ab", "\n", "cd"));
}

TEST(Pattern, CaselessGroupsFoldAsOnigurumaDoes) {
  EXPECT_THAT(split("(?i:'s|'k)", "x'Sy'\u017Fz'\u212A"), ElementsAre("x", "'S", "y", "'\u017F", "z", "'\u212A"));
  EXPECT_THAT(split("(?i:a)b", "AbaB"), ElementsAre("Ab", "aB"));
}

TEST(Pattern, LookaroundSeesThePieceOnly) {
  EXPECT_THAT(split(R"(\s+(?!\S))", "a   b  "), ElementsAre("a", "  ", " b", "  "));
  EXPECT_THAT(split(R"((?<=a)b)", "bab"), ElementsAre("ba", "b"));
}

TEST(Pattern, LongTextsDoNotOverflow) {
  const std::string spaces(2'000'000, ' ');
  EXPECT_EQ(split(R"(\s+(?!\S)|\s+)", spaces + "x").size(), 3u);
  EXPECT_EQ(split(R"((?:a|b)+)", std::string(500'000, 'a')).size(), 1u);
}

TEST(Pattern, RefusesByNameAndPlace) {
  const auto message = [](const char* pattern) { return error_of([&] { const SplitPattern compiled(pattern); }); };
  for (const auto& [pattern, expected] : std::vector<std::pair<const char*, const char*>>{
           {R"(\w+)", "the escape \"\\w\" at character 1"},
           {R"(a\b)", "the escape \"\\b\" at character 2"},
           {R"(\p{Han}+)", "\\p{Han}"},
           {R"(^a)", "the anchor \"^\""},
           {R"([a-z&&[b]])", "&&"},
           {R"([[:alpha:]])", "inside a character class"},
           {R"((?i)a)", "the group \"(?i)\""},
           {R"((?<name>a))", "the group \"(?<n\""},
           {R"((?i:\p{L}))", "a character class inside (?i:...)"},
           {R"((?i:ss))", "\"ss\" inside (?i:...)"},
           {R"((?i:é))", "outside ASCII"},
           {R"(a{2}+)", "possessive interval"},
           {R"(a**)", "a quantifier on a quantifier"},
           {R"(a*)", "matches the empty text"},
       }) {
    EXPECT_THAT(message(pattern), testing::AllOf(HasSubstr("unsupported: "), HasSubstr(expected), HasSubstr(pattern)));
  }
  for (const auto& [pattern, expected] :
       std::vector<std::pair<const char*, const char*>>{{"(a", "not closed"},
                                                        {"a)", "not opened"},
                                                        {"+a", "nothing to repeat"},
                                                        {"[a", "not closed"},
                                                        {"a\\", "backslash"},
                                                        {"[z-a]", "before its beginning"},
                                                        {R"(\p)", "{name}"}}) {
    EXPECT_THAT(message(pattern), testing::AllOf(HasSubstr("corrupt: "), HasSubstr(expected)));
  }
}

TEST(Classes, AreThoseOfTheNamedUnicodeVersion) {
  const auto count = [](const CodePointSet& set) {
    std::size_t sum = 0;
    for (const CodePointRange& range : set) sum += range.last - range.first + 1;
    return sum;
  };
  // The sums of Unicode 16.0.0; numbers also of 17.0.0.
  EXPECT_EQ(count(category_set("L")), 141028u);
  EXPECT_EQ(count(category_set("N")), 1911u);
  EXPECT_EQ(count(category_set("Nd")), 760u);
  EXPECT_EQ(count(category_set("Cn")), 819533u);
  EXPECT_EQ(count(numeric_set()), 1924u);
  EXPECT_EQ(count(white_space_set()), 25u);
  EXPECT_TRUE(contains(category_set("Lu"), 0xA7DC));    // new in 16
  EXPECT_FALSE(contains(category_set("L"), 0x088F));    // new in 17
  EXPECT_FALSE(contains(category_set("Nd"), 0x11DE0));  // new in 17
  EXPECT_TRUE(contains(numeric_set(), 0x11DE0));
  EXPECT_TRUE(category_set("Han").empty());
  EXPECT_TRUE(category_set("").empty());
}

TEST(Classes, ComplementAndUnion) {
  const CodePointSet set = make_set({{5, 9}, {0, 2}, {3, 3}, {8, 12}});
  EXPECT_EQ(set, (CodePointSet{{0, 3}, {5, 12}}));
  EXPECT_EQ(complement(set), (CodePointSet{{4, 4}, {13, 0x10FFFF}}));
  EXPECT_EQ(complement(complement(set)), set);
  EXPECT_EQ(complement({}), (CodePointSet{{0, 0x10FFFF}}));
  EXPECT_TRUE(complement({{0, 0x10FFFF}}).empty());
}

}  // namespace
}  // namespace palimpsest::model
