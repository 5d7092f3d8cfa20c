// The normal form NFC where its rules meet, and what a normaliser keeps of places. Every code point and random
// sequences are compared with Hugging Face tokenizers by compare_with_huggingface.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "model/tokenizer/normaliser.hpp"
#include "model/tokenizer/unicode_nfc.hpp"
#include "model/tokenizer/unicode_nfc_table.hpp"

namespace palimpsest::model {
namespace {

using testing::ElementsAre;

AlignedPoints points_of(std::string_view text) {
  const AlignedText whole(text);
  return whole.copy({0, whole.points().size()});
}

std::string nfc(std::string_view text) { return Normaliser({NormaliserStep{}}).apply(text); }

TEST(Nfc, ComposesDecomposesAndOrders) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"plain", "plain"},
           {"e\u0301", "\u00E9"},
           {"\u212B\u2126", "\u00C5\u03A9"},    // singletons
           {"\u0958", "\u0915\u093C"},          // excluded from composition
           {"a\u0301\u0323", "\u1EA1\u0301"},   // ordered, then composed
           {"a\u0327\u0301", "\u00E1\u0327"},   // over a mark of a lower class
           {"q\u0307\u0323", "q\u0323\u0307"},  // ordered, nothing to compose
           {"a\u0301\u0302", "\u00E1\u0302"},   // blocked by a mark of its own class
           {"\u1E0B\u0323", "\u1E0D\u0307"},    // a composite taken apart and made anew
           {"\u1112\u1161\u11AB", "\uD55C"},    // Hangul
           {"\uAC00\u11A8\u11A8", "\uAC01\u11A8"},
           {"\u11A8\u1161", "\u11A8\u1161"},
           {"\u0301e\u0301", "\u0301\u00E9"},  // a mark at the beginning
           {"\u0344", "\u0308\u0301"},         // marks alone
           {"\u0F73\u0F71", "\u0F71\u0F71\u0F72"},
           {"\U00011935\U00011930", "\U00011935\U00011930"},  // younger than the table
       }) {
    EXPECT_EQ(nfc(text), expected) << text;
    EXPECT_EQ(nfc(expected), expected) << text;
  }
}

TEST(Nfc, IsIdempotentAndDoesNotMindWhereATextIsCut) {
  std::vector<char32_t> interesting = {U'a', U'e', U' ', 0xAC00, 0x1100, 0x1161, 0x11A8};
  for (const Decomposition& d : composites()) interesting.insert(interesting.end(), {d.composed, d.first, d.second});
  for (const CombiningRun& run : combining_runs()) interesting.push_back(run.first);
  Rng rng(5, "nfc_test");
  for (int trial = 0; trial < 3000; ++trial) {
    std::string text;
    for (std::uint64_t i = rng.below(12); i > 0; --i) append_utf8(text, interesting[rng.below(interesting.size())]);
    const std::string once = nfc(text);
    ASSERT_EQ(nfc(once), once);
    ASSERT_EQ(nfc(text + "."), once + ".");
    ASSERT_EQ(nfc("." + once), "." + once);
  }
}

TEST(Normaliser, KeepsWhatEachCharacterStandsFor) {
  AlignedPoints text = points_of("xe\u0301\u0323y\u1E0B");
  Normaliser({NormaliserStep{}}).apply(text, false);
  EXPECT_EQ(text.points, (std::vector<char32_t>{U'x', 0x1EB9, 0x301, U'y', 0x1E0B}));
  EXPECT_THAT(text.sources,
              ElementsAre(ByteRange{0, 1}, ByteRange{1, 6}, ByteRange{1, 6}, ByteRange{6, 7}, ByteRange{7, 10}));
}

TEST(Normaliser, PrependsForNothingAndReplacesWholeMatches) {
  NormaliserStep before;
  before.kind = NormaliserStep::Kind::kPrepend;
  before.prepend = "\u2581";
  NormaliserStep spaces;
  spaces.kind = NormaliserStep::Kind::kReplace;
  spaces.replace = {R"( +)", false, "\u2581"};
  const Normaliser normaliser({before, spaces});
  AlignedPoints text = points_of("a   b");
  normaliser.apply(text, false);
  EXPECT_EQ(text.points, (std::vector<char32_t>{0x2581, U'a', 0x2581, U'b'}));
  EXPECT_THAT(text.sources, ElementsAre(ByteRange{0, 0}, ByteRange{0, 1}, ByteRange{1, 4}, ByteRange{4, 5}));
  const AlignedText aligned(text, "a   b");
  EXPECT_EQ(aligned.source_of(0, 4), (ByteRange{0, 1}));  // mark and letter
  EXPECT_EQ(aligned.source_of(4, 5), (ByteRange{1, 4}));  // a part of a changed character: all of its source
  EXPECT_EQ(aligned.source_of(0, 0), (ByteRange{0, 0}));
  AlignedPoints bare = points_of("a b");
  normaliser.apply(bare, true);
  EXPECT_EQ(bare.points, (std::vector<char32_t>{U'a', 0x2581, U'b'}));
  AlignedPoints empty;
  normaliser.apply(empty, false);
  EXPECT_TRUE(empty.empty());
  EXPECT_FALSE(normaliser.changes({}, false));
}

}  // namespace
}  // namespace palimpsest::model
