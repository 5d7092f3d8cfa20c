// Merging, short words against long ones and both against the definition, word for word.
#include "model/tokenizer/bpe.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "base/rng.hpp"
#include "model/tokenizer/bytes.hpp"
#include "tokenizer/support.hpp"

namespace palimpsest::model {
namespace {

BpeDescription description() {
  const nlohmann::json document = base_document();
  BpeDescription out;
  for (const auto& [text, id] : document["model"]["vocab"].items()) out.vocabulary.emplace_back(text, id.get<int>());
  for (const auto& merge : document["model"]["merges"]) out.merges.emplace_back(merge[0], merge[1]);
  return out;
}

// The definition: of all adjacent pairs merge the one of least rank, the leftmost among equals, until none is left.
std::vector<std::string> by_definition(const BpeDescription& bpe, std::string_view word) {
  std::vector<std::string> parts;
  for (const char byte : word) parts.emplace_back(byte_character(static_cast<std::uint8_t>(byte)));
  std::map<std::pair<std::string, std::string>, std::size_t> ranks;
  for (std::size_t i = 0; i < bpe.merges.size(); ++i) ranks.emplace(bpe.merges[i], i);
  while (true) {
    std::size_t best = bpe.merges.size();
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find({parts[i], parts[i + 1]});
      if (found != ranks.end() && found->second < best) {
        best = found->second;
        at = i;
      }
    }
    if (best == bpe.merges.size()) return parts;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

std::vector<std::string> texts_of(const BpeDescription& bpe, const std::vector<WordToken>& tokens) {
  std::map<std::int32_t, std::string> names;
  for (const auto& [text, id] : bpe.vocabulary) names[id] = text;
  std::vector<std::string> out;
  for (const WordToken& token : tokens) out.push_back(names.at(token.id));
  return out;
}

std::string random_word(Rng& rng, std::size_t size) {
  // Few letters, so that merges are many and overlap.
  static constexpr std::string_view kLetters = "aeinorst theee";
  std::string word;
  for (std::size_t i = 0; i < size; ++i) {
    word += rng.below(20) == 0 ? static_cast<char>(rng.below(256)) : kLetters[rng.below(kLetters.size())];
  }
  return word;
}

TEST(Bpe, EqualsItsDefinitionInShortAndLongWords) {
  const BpeDescription bpe = description();
  const BytePairEncoder encoder(bpe);
  Rng rng(7, "bpe_test");
  for (int trial = 0; trial < 300; ++trial) {
    const std::string word = random_word(rng, 1 + rng.below(140));
    std::vector<WordToken> tokens;
    encoder.encode(word, tokens);
    ASSERT_EQ(texts_of(bpe, tokens), by_definition(bpe, word));
    std::uint32_t at = 0;
    for (const WordToken& token : tokens) {
      ASSERT_EQ(token.begin, at);
      ASSERT_GT(token.end, token.begin);
      at = token.end;
    }
    ASSERT_EQ(at, word.size());
    std::vector<WordToken> again;
    encoder.encode(word, again);  // from the cache, for words that it keeps
    ASSERT_EQ(texts_of(bpe, again), texts_of(bpe, tokens));
  }
}

TEST(Bpe, HugeWordTakesNoQuadraticTime) {
  const BytePairEncoder encoder(description());
  std::vector<WordToken> tokens;
  std::string word;
  for (int i = 0; i < 300000; ++i) word += "the";
  encoder.encode(word, tokens);
  EXPECT_EQ(tokens.back().end, word.size());
  EXPECT_LT(tokens.size(), word.size());
}

TEST(Bpe, IgnoreMergesTakesAWholeWordOfTheVocabulary) {
  BpeDescription bpe;
  for (int b = 0; b < 256; ++b) bpe.vocabulary.emplace_back(byte_character(static_cast<std::uint8_t>(b)), b);
  bpe.vocabulary.emplace_back("abc", 256);  // no merge leads here
  std::vector<WordToken> tokens;
  BytePairEncoder(bpe).encode("abc", tokens);
  EXPECT_EQ(tokens.size(), 3u);
  bpe.ignore_merges = true;
  tokens.clear();
  BytePairEncoder(bpe).encode("abc", tokens);
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens[0].id, 256);
  EXPECT_EQ(tokens[0].end, 3u);
}

TEST(Bpe, ManyThreadsAgree) {
  const BpeDescription bpe = description();
  const BytePairEncoder encoder(bpe);
  Rng rng(11, "bpe_threads");
  std::vector<std::string> words;
  for (int i = 0; i < 2000; ++i) words.push_back(random_word(rng, 1 + rng.below(12)));
  std::vector<std::vector<std::int32_t>> results(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < results.size(); ++t) {
    threads.emplace_back([&, t] {
      std::vector<WordToken> tokens;
      for (const std::string& word : words) encoder.encode(word, tokens);
      for (const WordToken& token : tokens) results[t].push_back(token.id);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

}  // namespace
}  // namespace palimpsest::model
