// Byte pair encoding of one word: bytes to ids by the merges of a vocabulary, lowest rank first, leftmost among equals.
//
// Words seen before come from a bounded cache, which is the only mutable state and is guarded: any thread may encode.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace palimpsest::model {

// The `model` of tokenizer.json, with the vocabulary in the byte-level alphabet.
struct BpeDescription {
  std::vector<std::pair<std::string, std::int32_t>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
  std::optional<std::string> unk_token;
  bool fuse_unk = false;
  bool ignore_merges = false;
};

// A token of a word: the bytes [begin, end) of it.
struct WordToken {
  std::int32_t id;
  std::uint32_t begin;
  std::uint32_t end;
};

class BytePairEncoder {
 public:
  // Throws Error(kCorrupt) naming a merge or an unknown-token that the vocabulary does not have.
  explicit BytePairEncoder(const BpeDescription& description);

  // Appends the tokens of `word` (bytes, at most 4 GiB). A byte that the vocabulary does not have becomes the unknown
  // token, or, where none is declared, nothing, as in Hugging Face tokenizers; then no token covers the byte.
  void encode(std::string_view word, std::vector<WordToken>& out) const;

  std::optional<std::int32_t> token_id(std::string_view text) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  template <typename Value>
  using TextMap = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  // (left, right) -> (rank, merged), open addressing; a key of kEmpty is a free place.
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  static constexpr std::uint32_t kNoRank = ~std::uint32_t{0};
  struct Merge {
    std::uint64_t key = kEmpty;
    std::uint32_t rank = kNoRank;
    std::int32_t merged = 0;
  };
  const Merge* find(std::int32_t left, std::int32_t right) const;
  std::size_t place(std::uint64_t key) const;

  std::vector<WordToken> first_tokens(std::string_view word) const;
  void merge_short(std::vector<WordToken>& tokens) const;
  void merge_long(std::vector<WordToken>& tokens) const;
  std::vector<WordToken> compute(std::string_view word) const;

  TextMap<std::int32_t> ids_;
  std::vector<Merge> merges_;
  std::array<std::int32_t, 256> byte_ids_{};  // -1: the vocabulary does not have the byte
  std::int32_t unk_id_ = -1;
  bool fuse_unk_ = false;
  bool ignore_merges_ = false;

  struct Shard {
    std::mutex mutex;
    TextMap<std::vector<WordToken>> words;
  };
  static constexpr std::size_t kShards = 16;
  std::unique_ptr<std::array<Shard, kShards>> cache_;
};

}  // namespace palimpsest::model
