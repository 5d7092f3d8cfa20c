// Ids, offsets and decoded text against Hugging Face tokenizers (tests/golden/make_tokenizer_golden.py).
#include <gtest/gtest.h>

#include <set>

#include "base/files.hpp"
#include "tokenizer/support.hpp"

namespace palimpsest::model {
namespace {

using nlohmann::json;

const json& golden() {
  static const json document = json::parse(read_file(data_folder() / "golden.json"));
  return document;
}

json with_overrides(const json& variant) {
  json document = base_document();
  for (const auto& [key, value] : variant.at("overrides").items()) document[key] = value;
  for (const auto& [key, value] : variant.at("model_options").items()) document["model"][key] = value;
  for (const json& token : variant.at("removed_tokens")) document["model"]["vocab"].erase(token.get<std::string>());
  return document;
}

// The offsets in characters, as the golden has them: the characters that a token's bytes belong to, at least in part.
std::vector<std::size_t> in_characters(const std::string& text, const Encoding& encoding) {
  std::vector<std::size_t> character(text.size() + 1);
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) ++count;
    character[i] = count - 1;
  }
  std::vector<std::size_t> out;
  for (const auto& [begin, end] : encoding.offsets) {
    out.push_back(character[begin]);
    out.push_back(character[end - 1] + 1);
  }
  return out;
}

class Golden : public testing::TestWithParam<std::size_t> {};

TEST_P(Golden, EqualsHuggingFace) {
  const json& variant = golden().at("variants").at(GetParam());
  const auto tokenizer = open_document(with_overrides(variant));
  ASSERT_EQ(variant.at("cases").size(), golden().at("texts").size());
  for (const json& entry : variant.at("cases")) {
    const auto text = golden().at("texts").at(entry.at("text").get<std::size_t>()).get<std::string>();
    SCOPED_TRACE(json(text).dump(-1, ' ', true));
    const auto ids = entry.at("ids").get<std::vector<std::int64_t>>();
    const Encoding plain = tokenizer->encode(text);
    EXPECT_EQ(plain.ids, ids);
    ASSERT_EQ(plain.offsets.size(), plain.ids.size());
    if (entry.contains("offsets")) {
      EXPECT_EQ(in_characters(text, plain), entry.at("offsets").get<std::vector<std::size_t>>());
    }
    const auto full = entry.contains("with_special") ? entry.at("with_special").get<std::vector<std::int64_t>>() : ids;
    EXPECT_EQ(tokenizer->encode(text, true).ids, full);
    const std::string decoded = entry.value("decoded", text);
    EXPECT_EQ(tokenizer->decode(ids), decoded);
    EXPECT_EQ(tokenizer->decode(ids, true), entry.value("decoded_without_special", decoded));
  }
  for (const json& entry : variant.at("pieces")) {
    const auto ids = entry.at("ids").get<std::vector<std::int64_t>>();
    EXPECT_EQ(tokenizer->decode(ids), entry.at("decoded").get<std::string>()) << "ids from " << ids.front();
  }
}

std::string variant_name(const testing::TestParamInfo<std::size_t>& info) {
  return golden().at("variants").at(info.param).at("name").get<std::string>();
}

INSTANTIATE_TEST_SUITE_P(Variants, Golden, testing::Range<std::size_t>(0, golden().at("variants").size()),
                         variant_name);

TEST(GoldenData, HasTheVariantsThatMatter) {
  std::set<std::string> names;
  for (const json& variant : golden().at("variants")) names.insert(variant.at("name").get<std::string>());
  for (const char* name : {"smollm2", "gpt2", "llama3", "qwen2", "o200k", "gpt2_prefix_space", "fused_unknown_bytes"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_GE(golden().at("texts").size(), 30u);
}

}  // namespace
}  // namespace palimpsest::model
