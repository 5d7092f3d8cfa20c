// Decoders, step by step; whole chains are compared with Hugging Face tokenizers in golden_test.cpp.
#include "model/tokenizer/decoder.hpp"

#include <gtest/gtest.h>

namespace palimpsest::model {
namespace {

DecoderStep step(DecoderStep::Kind kind) {
  DecoderStep out;
  out.kind = kind;
  return out;
}

DecoderStep strip(std::size_t start, std::size_t stop) {
  DecoderStep out = step(DecoderStep::Kind::kStrip);
  out.start = start;
  out.stop = stop;
  return out;
}

std::string decode(const std::vector<DecoderStep>& steps, std::vector<std::string> tokens, bool continues = false) {
  return Decoder(steps).decode(std::move(tokens), continues);
}

TEST(Decoder, FallbackBytesOfARunAreTextOrEachAReplacement) {
  const std::vector<DecoderStep> steps = {step(DecoderStep::Kind::kByteFallback)};
  EXPECT_EQ(decode(steps, {"a", "<0xE6>", "<0x9D>", "<0xB1>", "b"}), "a\u6771b");
  EXPECT_EQ(decode(steps, {"<0xE6>", "<0x9D>", "b", "<0x41>"}), "\uFFFD\uFFFDbA");
  EXPECT_EQ(decode(steps, {"<0x41>", "<0xFF>"}), "\uFFFD\uFFFD");  // of the whole run, as the reference does
  EXPECT_EQ(decode(steps, {"<0x4>", "<0x4G>", "<0x412>", "<0x41"}), "<0x4><0x4G><0x412><0x41");
}

TEST(Decoder, StripTakesOffEndsButNotBeforeAContinuation) {
  EXPECT_EQ(decode({strip(1, 0)}, {"  a", " b"}), " ab");
  EXPECT_EQ(decode({strip(1, 0)}, {"  a", " b"}, true), "  ab");
  EXPECT_EQ(decode({strip(2, 1)}, {" ", "   ", " a  "}), "a ");
  EXPECT_EQ(decode({step(DecoderStep::Kind::kFuse), strip(1, 1)}, {" ", " a ", " "}), " a ");
}

TEST(Decoder, MetaspaceDropsTheFirstTokensMarks) {
  DecoderStep metaspace = step(DecoderStep::Kind::kMetaspace);
  metaspace.character = 0x2581;
  const std::vector<std::string> tokens = {"\u2581\u2581a", "\u2581b"};
  EXPECT_EQ(decode({metaspace}, tokens), "a b");
  EXPECT_EQ(decode({metaspace}, tokens, true), "  a b");
  metaspace.keep_first = true;
  EXPECT_EQ(decode({metaspace}, tokens), "  a b");
}

TEST(Decoder, ReplacesByTextAndByPattern) {
  DecoderStep replace = step(DecoderStep::Kind::kReplace);
  replace.replace = {"ab", true, "-"};
  EXPECT_EQ(decode({replace}, {"aab", "abab", "a", "b"}), "a---ab");
  replace.replace = {"[ab]+", false, "-"};
  EXPECT_EQ(decode({replace}, {"aabc", "\u6771b"}), "-c\u6771-");
  EXPECT_EQ(decode({replace}, {}), "");
}

}  // namespace
}  // namespace palimpsest::model
