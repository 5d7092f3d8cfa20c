#include "data/tokenized.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"

namespace palimpsest::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A vocabulary of bytes a-z and space, the merged word " is" and "oslo", and one special token; with or without a BOS.
std::string tokenizer_json(bool with_bos) {
  std::string vocabulary = "\"<bos>\": 0, \"\xC4\xA0\": 1";
  int next = 2;
  for (char c = 'a'; c <= 'z'; ++c) vocabulary += cat(", \"", c, "\": ", next++);
  for (const char* merged : {"os", "lo", "oslo"}) vocabulary += cat(", \"", merged, "\": ", next++);
  const std::string post =
      with_bos ? R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}},)"
                 R"( {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},)"
                 R"( {"Sequence": {"id": "B", "type_id": 1}}],)"
                 R"( "special_tokens": {"<bos>": {"id": "<bos>", "ids": [0], "tokens": ["<bos>"]}}})"
               : "null";
  return R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{"id": 0, "content": "<bos>",)"
         R"( "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],)"
         R"( "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,)"
         R"( "use_regex": true}, "post_processor": )" +
         post +
         R"(, "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},)"
         R"( "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",)"
         R"( "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {)" +
         vocabulary + R"(}, "merges": ["o s", "l o", "os lo"]}})";
}

Fact fact(const std::string& prompt, const std::string& subject) {
  Fact f;
  f.prompt = prompt;
  f.subject = subject;
  f.line = 4;
  return f;
}

TEST(Tokenized, PositionZeroIsWarnedOf) {
  const TemporaryFolder scratch;
  const auto tokenizer = model::Tokenizer::open(scratch.write("tokenizer.json", tokenizer_json(false)));
  const std::vector<Fact> facts = {fact("{} is in", "oslo"), fact("the city {} is in", "oslo"),
                                   fact("{} is in", "bergen")};
  const auto warnings = position_zero_warnings(facts, *tokenizer, "f.jsonl");
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("f.jsonl:4: prompt: the last token of the subject \"oslo\" is the first token"));

  std::vector<Fact> teach = {fact("the city {} is in", "oslo")};
  teach[0].probes = {{"paraphrase", "oslo lies in", "", "test"}, {"paraphrase", "oslo stands in", "", "teach"}};
  const auto probe_warnings = position_zero_warnings(teach, *tokenizer, "f.jsonl");
  ASSERT_EQ(probe_warnings.size(), 1u);
  EXPECT_THAT(probe_warnings[0], HasSubstr("f.jsonl:4: probes[1].prompt: "));
}

TEST(Tokenized, ABosTakesPositionZero) {
  const TemporaryFolder scratch;
  const auto tokenizer = model::Tokenizer::open(scratch.write("tokenizer.json", tokenizer_json(true)));
  const std::vector<Fact> facts = {fact("{} is in", "oslo")};
  EXPECT_TRUE(position_zero_warnings(facts, *tokenizer, "f.jsonl").empty());
  EXPECT_THAT(special_token_texts(*tokenizer), ElementsAre("<bos>"));
}

}  // namespace
}  // namespace palimpsest::data
