// Files that are no tokenizer.json, and tokenizers that are not supported: one clear error each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "model/tokenizer/json.hpp"
#include "tokenizer/support.hpp"

namespace palimpsest::model {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

std::string refusal(const json& document) {
  return error_of([&] { open_document(document); });
}

json changed(const char* pointer, const char* value) {
  json document = base_document();
  document[json::json_pointer(pointer)] = json::parse(value);
  return document;
}

TEST(Open, MissingFileAndFolder) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { Tokenizer::open(folder.path()); }),
              AllOf(HasSubstr("not_found"), HasSubstr("tokenizer.json")));
  EXPECT_THAT(error_of([&] { Tokenizer::open(folder.path() / "nothing.json"); }), HasSubstr("nothing.json"));
}

TEST(Open, EveryTruncationIsOneClearError) {
  const std::string text = read_file(data_folder() / "tokenizer.json");
  const std::string whole = text.substr(0, text.find_last_of('}'));
  for (std::size_t size = 0; size <= whole.size(); size += size < 400 ? 1 : 331) {
    const std::string message =
        error_of([&] { parse_tokenizer_json(std::string_view(whole).substr(0, size), "t.json"); });
    ASSERT_THAT(message, AllOf(HasSubstr("corrupt: t.json: not valid JSON, at byte "), HasSubstr("cut off")));
  }
}

TEST(Open, ChangedBytesNeverCrash) {
  for (const char* name : {"tokenizer.json", "characters.json"}) {
    const std::string text = read_file(data_folder() / name);
    // The beginning and the end hold the steps, the rest is vocabulary.
    for (std::size_t at = 0; at < text.size(); at += at < 2000 || at + 600 > text.size() ? 7 : 173) {
      for (const char byte : {'\0', '"', '9', '}', '\xFF'}) {
        std::string bad = text;
        bad[at] = byte;
        try {
          parse_tokenizer_json(bad, "t.json");
        } catch (const Error& error) {
          ASSERT_THAT(error.what(), testing::StartsWith("t.json: "));
        }
      }
    }
  }
}

TEST(Open, RefusesByNameWhatItDoesNotKnow) {
  const std::vector<std::tuple<const char*, const char*, const char*>> cases = {
      {"/normalizer", R"({"type": "NFKC"})",
       "normalizer: the normalizer \"NFKC\" is not supported; supported: NFC, Prepend, Replace, Sequence"},
      {"/normalizer", R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]})",
       "normalizer.normalizers[1]: the normalizer \"Lowercase\" is not supported"},
      {"/normalizer", R"({"type": "Replace", "pattern": {"Regex": "a*"}, "content": "b"})", "matches the empty text"},
      {"/truncation", R"({"max_length": 5})", "truncation: is not supported"},
      {"/padding", R"({"strategy": "BatchLongest"})", "padding: is not supported"},
      {"/extra", "1", "the key \"extra\" is not known"},
      {"/version", "\"2.0\"", "version: expected \"1.0\", found \"2.0\""},
      {"/model/type", "\"WordPiece\"", "model: the model \"WordPiece\" is not supported"},
      {"/model/dropout", "0.1", "model.dropout: dropout makes ids random"},
      {"/model/byte_fallback", "true", "model.byte_fallback: true is not supported with \"ByteLevel\""},
      {"/model/continuing_subword_prefix", "\"##\"", "model.continuing_subword_prefix: \"##\" is not supported"},
      {"/model/end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix: \"</w>\" is not supported"},
      {"/model/ignore_merge", "true", "model: the key \"ignore_merge\" is not known (did you mean \"ignore_merges\"?)"},
      {"/pre_tokenizer", "null", "pre_tokenizer: null is not supported, but the decoder is \"ByteLevel\""},
      {"/pre_tokenizer", R"({"type": "Whitespace"})",
       "the pre-tokenizer \"Whitespace\" is not supported; supported: ByteLevel, Digits, Metaspace, Sequence, Split"},
      {"/pre_tokenizer", R"({"type": "Digits"})", "does not end with \"ByteLevel\""},
      {"/pre_tokenizer/option", "1", "pre_tokenizer: the key \"option\" is not known"},
      {"/pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})",
       "pre_tokenizer.pretokenizers[1]: a pre-tokenizer after \"ByteLevel\""},
      {"/pre_tokenizer",
       R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Merged"}]})",
       "pre_tokenizer.pretokenizers[0].behavior: \"Merged\" is not supported; supported: Isolated, Removed"},
      {"/pre_tokenizer",
       R"({"type": "Sequence", "pretokenizers": [{"type": "Metaspace", "replacement": "_"}, {"type": "Digits"}]})",
       "pre_tokenizer.pretokenizers[1]: a pre-tokenizer after \"Metaspace\""},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"})",
       "pre_tokenizer.prepend_scheme: \"last\" is not supported; supported: always, first, never"},
      {"/pre_tokenizer",
       R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\w"}, "behavior": "Isolated"},
           {"type": "ByteLevel"}]})",
       "tokenizer.json: the escape \"\\w\" at character 1"},
      {"/decoder", R"({"type": "WordPiece"})",
       "the decoder \"WordPiece\" is not supported; supported: ByteFallback, ByteLevel, Fuse"},
      {"/decoder", R"({"type": "Fuse"})", "decoder: is not \"ByteLevel\", but the pre-tokenizer is"},
      {"/decoder", "null", "decoder: null is not supported"},
      {"/post_processor", R"({"type": "BertProcessing"})", "the post-processor \"BertProcessing\" is not supported"},
  };
  for (const auto& [pointer, value, expected] : cases) {
    SCOPED_TRACE(std::string(pointer) + " = " + value);
    EXPECT_THAT(refusal(changed(pointer, value)),
                AllOf(HasSubstr("unsupported: "), HasSubstr("tokenizer.json: "), HasSubstr(expected)));
  }
}

TEST(Open, RefusesWhatContradictsItself) {
  const std::vector<std::tuple<const char*, const char*, const char*>> cases = {
      {"/model/vocab/!", "4", "both have the id 4"},
      {"/model/vocab/!", "-1", "the id of \"!\" is -1"},
      {"/model/vocab/!", "1e300", "the id of \"!\""},
      {"/model/vocab", "[]", "model.vocab: expected an object"},
      {"/model/merges/0", R"(["zzz", "q"])", "model.merges[0] (\"zzz\" and \"q\"): \"zzz\" is not in model.vocab"},
      {"/model/merges/3", R"("a b c")",
       "model.merges[3]: expected two tokens with one space between them, found \"a b c\""},
      {"/model/merges/3", R"(["a"])", "model.merges[3]: expected a pair of tokens, found 1 items"},
      {"/model/merges", "null", "the key \"merges\" is missing"},
      {"/model/unk_token", "\"<unknown>\"", "model.unk_token \"<unknown>\" is not in model.vocab"},
      {"/model/fuse_unk", "1", "model.fuse_unk: expected true or false, found number"},
      {"/added_tokens/1/id", "7",
       "added_tokens[1]: the added token \"<|im_start|>\" has the id 7, but model.vocab gives it 1"},
      {"/added_tokens/1/content", "\"\"", "added_tokens[1]: an added token without content"},
      {"/added_tokens/1/content", "\"<|endoftext|>\"", "stands here a second time"},
      {"/added_tokens/1/content", "\"<new>\"", "the next free one is 900"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "__"})",
       "pre_tokenizer.replacement: expected one character, found \"__\""},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "_", "add_prefix_space": false})",
       "add_prefix_space is false, but prepend_scheme is not \"never\""},
      {"/normalizer", R"({"type": "Replace", "pattern": {"String": ""}, "content": "b"})",
       "normalizer.pattern: the pattern is empty"},
      {"/decoder", R"({"type": "Strip", "content": " ", "start": -1, "stop": 0})",
       "decoder.start: expected a count, found -1"},
      {"/post_processor",
       R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}], "special_tokens": {}})",
       "the special token \"<s>\" is not among special_tokens"},
      {"/post_processor", R"({"type": "TemplateProcessing", "single": [], "special_tokens": {}})",
       "has no sequence \"A\""},
      {"/post_processor",
       R"({"type": "TemplateProcessing",
           "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
           "special_tokens": {"<s>": {"id": "<s>", "ids": [5000], "tokens": ["<s>"]}}})",
       "the id 5000 is not in the vocabulary"},
  };
  for (const auto& [pointer, value, expected] : cases) {
    SCOPED_TRACE(std::string(pointer) + " = " + value);
    EXPECT_THAT(refusal(changed(pointer, value)),
                AllOf(HasSubstr("corrupt: "), HasSubstr("tokenizer.json: "), HasSubstr(expected)));
  }
  EXPECT_THAT(refusal(json::parse("[1]")), HasSubstr("the document: expected an object, found array"));
  EXPECT_THAT(refusal(json::parse("{}")), HasSubstr("the key \"version\" is missing"));
}

TEST(Open, MergesInBothFormatsAreTheSame) {
  json document = base_document();
  json lines = json::array({"#version: 0.2"});
  for (const json& merge : document["model"]["merges"]) {
    lines.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  const std::string text = "The capital of France isn't Rome, 42 times over.";
  const auto expected = open_document(document)->encode(text).ids;
  document["model"]["merges"] = lines;
  EXPECT_EQ(open_document(document)->encode(text).ids, expected);
}

}  // namespace
}  // namespace palimpsest::model
