// Round trips, UTF-8, the target rule, the subject's last token, special tokens.
#include "model/tokenizer/tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/rng.hpp"
#include "model/tokenizer/bytes.hpp"
#include "tokenizer/support.hpp"

namespace palimpsest::model {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> open_base() { return Tokenizer::open(data_folder()); }

std::vector<std::string> texts(const Tokenizer& tokenizer, const Encoding& encoding) {
  std::vector<std::string> out;
  for (const std::int64_t id : encoding.ids) out.push_back(tokenizer.token_text(id));
  return out;
}

// A Llama-3-like tokenizer: "<|im_start|>" before every text.
std::shared_ptr<const Tokenizer> open_with_bos() {
  json document = base_document();
  document["post_processor"] = json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}}})");
  return open_document(document);
}

TEST(Tokenizer, DecodeGivesBackEveryText) {
  const auto tokenizer = open_base();
  Rng rng(3, "round_trip");
  for (int trial = 0; trial < 500; ++trial) {
    std::string text;
    for (std::uint64_t i = rng.below(40); i > 0; --i) {
      char32_t point = static_cast<char32_t>(rng.below(4) == 0 ? rng.below(0x110000) : rng.below(0x300));
      if (point >= 0xD800 && point <= 0xDFFF) point = U' ';
      append_utf8(text, point);
    }
    const Encoding encoding = tokenizer->encode(text);
    ASSERT_EQ(tokenizer->decode(encoding.ids), text);
    std::size_t at = 0;
    for (const auto& [begin, end] : encoding.offsets) {
      ASSERT_EQ(begin, at);
      ASSERT_GT(end, begin);
      at = end;
    }
    ASSERT_EQ(at, text.size());
  }
}

TEST(Tokenizer, ThreadsShareOneTokenizer) {
  const auto tokenizer = open_base();
  const std::string text = "The capital of France is Paris.  It's 1789 — où êtes-vous? ";
  const std::vector<std::int64_t> expected = open_base()->encode(text).ids;
  std::vector<std::thread> threads;
  std::array<bool, 4> same{};
  for (std::size_t t = 0; t < same.size(); ++t) {
    threads.emplace_back([&, t] {
      same[t] = true;
      for (int i = 0; i < 200; ++i) same[t] = same[t] && tokenizer->encode(text).ids == expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(same, testing::Each(true));
}

TEST(Tokenizer, InvalidUtf8IsRefusedWithLineAndOffset) {
  const auto tokenizer = open_base();
  const auto message = [&](std::string_view text) { return error_of([&] { tokenizer->encode(text); }); };
  EXPECT_THAT(message("one\ntwo\nthr\xFF"
                      "ee"),
              HasSubstr("invalid_argument: the text is not UTF-8: line 3, byte offset 11: 0xFF"));
  EXPECT_THAT(message("\xC3"), HasSubstr("line 1, byte offset 0: 0xC3 at the end of the text"));
  EXPECT_THAT(message("ab\xE2\x82"), HasSubstr("byte offset 2: 0xE2 0x82 at the end of the text"));
  for (const char* bad :
       {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\x80"}) {
    EXPECT_THAT(message(bad), HasSubstr("line 1, byte offset 0")) << bad;
  }
  EXPECT_THAT(error_of([&] { tokenizer->encode_target("a\xFF"); }), HasSubstr("byte offset 1"));
}

TEST(Tokenizer, BrokenBytesDecodeToReplacementCharacters) {
  EXPECT_EQ(lossy_utf8("a\xE2\x82"
                       "b"),
            "a\uFFFDb");
  EXPECT_EQ(lossy_utf8("\xF0\x9F\x98"), "\uFFFD");
  EXPECT_EQ(lossy_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(lossy_utf8("\xF0\x9F\x98\x80"), "\U0001F600");
}

TEST(Tokenizer, DecodeOfOddIds) {
  const auto tokenizer = open_base();
  EXPECT_EQ(tokenizer->decode(std::vector<std::int64_t>{0, 5000000, 1}), "<|endoftext|><|im_start|>");
  EXPECT_EQ(tokenizer->decode(std::vector<std::int64_t>{0, 1}, true), "");
  EXPECT_THAT(error_of([&] { tokenizer->decode(std::vector<std::int64_t>{-1}); }), HasSubstr("out_of_range"));
  EXPECT_THAT(error_of([&] { tokenizer->token_text(1000); }), HasSubstr("the token id 1000 is not in the vocabulary"));
}

TEST(Tokenizer, KnowsItsTokens) {
  const auto tokenizer = open_base();
  EXPECT_EQ(tokenizer->vocabulary_size(), 900);
  EXPECT_EQ(tokenizer->token_id("<|im_end|>"), 2);
  EXPECT_EQ(tokenizer->token_text(2), "<|im_end|>");
  EXPECT_TRUE(tokenizer->token_id("Ġthe").has_value());
  EXPECT_FALSE(tokenizer->token_id("no such token").has_value());
  EXPECT_THAT(tokenizer->special_ids(), ElementsAre(0, 1, 2));
  EXPECT_TRUE(tokenizer->is_special(0));
  EXPECT_FALSE(tokenizer->is_special(3));
  EXPECT_EQ(tokenizer->sha256(), sha256_file(data_folder() / "tokenizer.json"));
  EXPECT_FALSE(tokenizer->bos_id().has_value());
  EXPECT_FALSE(tokenizer->eos_id().has_value());
}

TEST(Tokenizer, ReadsSpecialTokensFromTheFilesBesideIt) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", base_document().dump());
  folder.write("tokenizer_config.json",
               R"({"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|im_end|>", "other": 1})");
  folder.write("special_tokens_map.json", R"({"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"})");
  folder.write("generation_config.json", R"({"bos_token_id": 0, "eos_token_id": [2, 0]})");
  const auto tokenizer = Tokenizer::open(folder.path() / "tokenizer.json");
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  EXPECT_EQ(tokenizer->pad_id(), 0);
  EXPECT_THAT(tokenizer->eos_ids(), ElementsAre(2, 0));
  folder.write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  EXPECT_THAT(error_of([&] { Tokenizer::open(folder.path()); }), HasSubstr("bos_token \"<s>\" is not a token of"));
  folder.write("tokenizer_config.json", "{}");
  folder.write("generation_config.json", R"({"eos_token_id": 70000})");
  EXPECT_THAT(error_of([&] { Tokenizer::open(folder.path()); }), HasSubstr("eos_token_id 70000 is not a token of"));
}

TEST(TargetRule, OneLeadingSpaceAndNeverBos) {
  for (const auto& tokenizer : {open_base(), open_with_bos()}) {
    const auto expected = tokenizer->encode(" Paris").ids;
    EXPECT_EQ(tokenizer->encode_target("Paris").ids, expected);
    EXPECT_EQ(tokenizer->encode_target(" Paris").ids, expected);
    EXPECT_EQ(tokenizer->encode_target("   Paris").ids, expected);
    EXPECT_EQ(tokenizer->decode(expected), " Paris");
    EXPECT_THAT(error_of([&] { tokenizer->encode_target("  "); }), HasSubstr("empty"));
    EXPECT_THAT(error_of([&] { tokenizer->encode_target("<|im_start|>Paris"); }),
                HasSubstr("special token \"<|im_start|>\""));
  }
}

TEST(TargetRule, HoldsForAPrefixSpaceTokenizerToo) {
  json document = base_document();
  document["pre_tokenizer"]["add_prefix_space"] = true;
  const auto tokenizer = open_document(document);
  EXPECT_EQ(tokenizer->encode_target("Paris").ids, open_base()->encode_target("Paris").ids);
  EXPECT_EQ(tokenizer->encode_prompt("Paris").ids, tokenizer->encode_target("Paris").ids);
}

TEST(TargetRule, OffsetsCountInTheCallersText) {
  const auto tokenizer = open_base();
  for (const std::string text : {"Rome is far", " Rome is far", "   Rome is far"}) {
    const Encoding target = tokenizer->encode_target(text);
    std::string joined;
    for (const auto& [begin, end] : target.offsets) joined += text.substr(begin, end - begin);
    EXPECT_EQ(joined, text.starts_with(' ') ? " Rome is far" : "Rome is far");
    EXPECT_EQ(target.offsets.back().second, text.size());
  }
}

TEST(TargetRule, PromptsGetWhatThePostProcessorPutsBefore) {
  EXPECT_EQ(open_base()->encode_prompt("The capital").ids, open_base()->encode("The capital").ids);
  const auto tokenizer = open_with_bos();
  const Encoding prompt = tokenizer->encode_prompt("The capital");
  EXPECT_EQ(prompt.ids.front(), 1);
  EXPECT_EQ(prompt.ids, tokenizer->encode("The capital", true).ids);
  EXPECT_EQ(prompt.offsets.front(), (std::pair<std::size_t, std::size_t>{0, 0}));
  EXPECT_THAT(tokenizer->target_rule(), HasSubstr("<|im_start|> (id 1)"));
  EXPECT_THAT(open_base()->target_rule(), HasSubstr("adds nothing before it"));
}

TEST(Subject, LastTokenHoldsItsLastByte) {
  for (const auto& tokenizer : {open_base(), open_with_bos()}) {
    const std::string prompt = "The mother tongue of Zażółć 😀 is";
    const Encoding encoding = tokenizer->encode_prompt(prompt);
    for (const std::string subject : {"The", "mother tongue", "Zażółć", "Zażółć 😀", "is"}) {
      const std::size_t begin = prompt.find(subject);
      const std::size_t index = tokenizer->index_of_subject_last_token(prompt, begin, begin + subject.size());
      EXPECT_LT(encoding.offsets[index].first, begin + subject.size()) << subject;
      EXPECT_GE(encoding.offsets[index].second, begin + subject.size()) << subject;
    }
    const std::size_t bos = encoding.ids.size() - tokenizer->encode(prompt).ids.size();
    EXPECT_EQ(tokenizer->index_of_subject_last_token(prompt, 0, 3), bos);
    EXPECT_EQ(tokenizer->index_of_subject_last_token(prompt, 0, prompt.size()), encoding.ids.size() - 1);
    EXPECT_THAT(error_of([&] { tokenizer->index_of_subject_last_token(prompt, 3, 3); }), HasSubstr("invalid_argument"));
    EXPECT_THAT(error_of([&] { tokenizer->index_of_subject_last_token("ab", 0, 3); }),
                HasSubstr("outside the prompt of 2"));
  }
}

TEST(Subject, InsideALongerTokenIsThatToken) {
  const auto tokenizer = open_base();
  const std::string prompt = "of the capital";
  const Encoding encoding = tokenizer->encode_prompt(prompt);
  ASSERT_THAT(texts(*tokenizer, encoding), ElementsAre("o", "f", "Ġthe", "Ġcapital"));
  EXPECT_EQ(tokenizer->index_of_subject_last_token(prompt, 3, 5), 2u);  // "th" of "the"
}

// A family's marks and normal forms must not move the subject: whatever a tokenizer changes, the bytes are the
// caller's.
std::vector<json> changing_documents() {
  json nfc = base_document();
  nfc["normalizer"] = {{"type", "NFC"}};
  json prefixed = nfc;
  prefixed["pre_tokenizer"]["add_prefix_space"] = true;
  json first = base_document("characters.json");
  first["normalizer"] = {{"type", "NFC"}};
  first["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "first"}, {"split", false}};
  return {nfc, prefixed, first, base_document("characters.json")};
}

TEST(Subject, LastTokenHoldsItsLastByteWhateverIsChanged) {
  // Accents that are joined to their letters, marks that change places, Hangul in letters, a ligature's replacement.
  const std::string prompt = "The cafe\u0301 of a\u0301\u0323\u0301b and \u1112\u1161\u11ab \u212b is in";
  for (const json& document : changing_documents()) {
    const auto tokenizer = open_document(document);
    const Encoding encoding = tokenizer->encode_prompt(prompt);
    std::size_t covered = 0;
    for (const auto& [begin, end] : encoding.offsets) {
      EXPECT_LE(begin, covered);  // nothing is left out
      EXPECT_LE(end, prompt.size());
      covered = std::max(covered, end);
    }
    EXPECT_EQ(covered, prompt.size());
    for (const std::string subject :
         {"The", "cafe\u0301", "a\u0301\u0323\u0301", "a\u0301\u0323\u0301b", "\u1112\u1161\u11ab", "\u212b", "in"}) {
      SCOPED_TRACE(subject);
      const std::size_t begin = prompt.find(subject);
      const std::size_t end = begin + subject.size();
      const std::size_t index = tokenizer->index_of_subject_last_token(prompt, begin, end);
      EXPECT_LT(encoding.offsets[index].first, end);
      EXPECT_GE(encoding.offsets[index].second, end);
      if (index + 1 < encoding.offsets.size()) {
        EXPECT_GE(encoding.offsets[index + 1].second, end);
      }
    }
  }
}

TEST(Subject, AtTheBeginningIsNotTheMarkBeforeIt) {
  const auto tokenizer = open_document(base_document("characters.json"));
  const std::string prompt = "\u6771 is east";
  const Encoding encoding = tokenizer->encode_prompt(prompt);
  ASSERT_EQ(tokenizer->token_text(encoding.ids[0]), "\u2581");
  EXPECT_EQ(encoding.offsets[0], (std::pair<std::size_t, std::size_t>{0, 0}));
  const std::size_t index = tokenizer->index_of_subject_last_token(prompt, 0, 3);
  EXPECT_EQ(encoding.offsets[index].second, 3u);
  EXPECT_GT(index, 0u);
}

TEST(TargetRule, GoesOnFromThePromptWhateverIsPutBeforeATextAlone) {
  for (json document : changing_documents()) {
    const auto tokenizer = open_document(document);
    const std::string prompt = "The capital of the country";
    for (const std::string target : {"is there", " is there", "  is there"}) {
      std::vector<std::int64_t> joined = tokenizer->encode_prompt(prompt).ids;
      const Encoding encoded = tokenizer->encode_target(target);
      joined.insert(joined.end(), encoded.ids.begin(), encoded.ids.end());
      EXPECT_EQ(joined, tokenizer->encode_prompt(prompt + " is there").ids) << document["normalizer"];
      EXPECT_EQ(encoded.offsets.back().second, target.size());
    }
    EXPECT_EQ(tokenizer->decode_continuation(tokenizer->encode_target("there").ids), " there");
  }
  EXPECT_THAT(open_document(base_document("characters.json"))->target_rule(),
              testing::StartsWith("BPE over characters: a target is encoded with exactly one leading space"));
}

TEST(TargetRule, TellsUnknownCharactersFromSpecialTokens) {
  json document = base_document("characters.json");
  document["model"]["byte_fallback"] = false;
  const auto tokenizer = open_document(document);
  EXPECT_THAT(error_of([&] { tokenizer->encode_target("\u6771\u00FF"); }),
              HasSubstr("has characters that the vocabulary does not have: they become \"<unk>\""));
  EXPECT_THAT(error_of([&] { tokenizer->encode_target("the <unk>"); }), HasSubstr("holds the special token \"<unk>\""));
}

TEST(TargetRule, ContinuationsGoOnAsTheyStand) {
  const auto tokenizer = open_document(base_document("characters.json"));
  const auto text_of = [&](const std::string& text) { return texts(*tokenizer, tokenizer->encode_continuation(text)); };
  EXPECT_EQ(text_of("the").front(), "the");
  EXPECT_EQ(texts(*tokenizer, tokenizer->encode("the")).front(), "\u2581the");
  EXPECT_EQ(text_of(" the"), texts(*tokenizer, tokenizer->encode("the")));
  // What follows an added token begins anew, as in a whole text.
  EXPECT_EQ(text_of("the<s>the"), (std::vector<std::string>{"the", "<s>", "\u2581the"}));
}

TEST(TargetRule, PromptAndContinuationDecodeToOneText) {
  for (const char* name : {"tokenizer.json", "characters.json"}) {
    const auto tokenizer = open_document(base_document(name));
    // Behind white space, behind a word, and where one token of the joined text would stand on both sides.
    for (const auto& [prompt, continuation] :
         {std::pair("Answer:\n", "the capital"), std::pair("two  ", "the"), std::pair("the", " the"),
          std::pair("th", "e capital"), std::pair("x\n", "  \u6771\n")}) {
      std::vector<std::int64_t> joined = tokenizer->encode_prompt(prompt).ids;
      const Encoding encoded = tokenizer->encode_continuation(continuation);
      joined.insert(joined.end(), encoded.ids.begin(), encoded.ids.end());
      EXPECT_EQ(tokenizer->decode(joined), cat(prompt, continuation)) << name;
      EXPECT_EQ(encoded.offsets.back().second, std::string_view(continuation).size());
    }
  }
}

TEST(TargetRule, ContinuationsOfByteLevelVocabulariesAreTexts) {
  const auto tokenizer = open_document(base_document("tokenizer.json"));
  for (const char* text : {"the capital", " the", "\n\nx  y ", "It's 42.", "\u6771\u4eac"}) {
    EXPECT_EQ(tokenizer->encode_continuation(text).ids, tokenizer->encode(text).ids) << text;
  }
}

TEST(Tokenizer, DecodesTokenByTokenWhatItDecodesAtOnce) {
  const auto tokenizer = open_document(base_document("characters.json"));
  const std::string text = "The capital, 東京 \U0001F600 of  the \u2581 country\n";
  const std::string expected = "The capital, 東京 \U0001F600 of  the   country\n";  // a mark is a space
  const std::vector<std::int64_t> ids = tokenizer->encode(text).ids;
  // Every beginning of the ids: what is whole of the text stands, what is not yet is U+FFFD.
  for (std::size_t count = 1; count <= ids.size(); ++count) {
    const std::string part = tokenizer->decode(std::span(ids).first(count));
    const std::string whole = part.substr(0, part.find("\uFFFD"));
    EXPECT_TRUE(expected.starts_with(whole)) << part;
  }
  EXPECT_EQ(tokenizer->decode(ids), expected);
  EXPECT_EQ(tokenizer->decode_continuation(ids), cat(' ', expected));
}

}  // namespace
}  // namespace palimpsest::model
