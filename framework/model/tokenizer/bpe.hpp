// Byte pair encoding of one word: its bytes, or its characters, to ids by the merges of a vocabulary, lowest rank
// first, leftmost among equals.
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

// The `model` of tokenizer.json.
struct BpeDescription {
  // What a word begins as: its bytes, the vocabulary being in the byte-level alphabet, or its characters.
  bool byte_level = true;
  // For a character that the vocabulary does not have, the tokens <0x00> to <0xFF> of its bytes where it has all of
  // them; not with byte_level.
  bool byte_fallback = false;
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

  // Appends the tokens of `word` (at most 4 GiB; UTF-8 unless byte_level). A byte or character that the vocabulary does
  // not have becomes the unknown token, or, where none is declared, nothing, as in Hugging Face tokenizers; then no
  // token covers it.
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
  std::vector<WordToken> first_tokens_of_bytes(std::string_view word) const;
  std::vector<WordToken> first_tokens_of_characters(std::string_view word) const;
  bool append_fallback(std::string_view word, std::size_t begin, std::size_t end, std::vector<WordToken>& out) const;
  void merge_short(std::vector<WordToken>& tokens) const;
  void merge_long(std::vector<WordToken>& tokens) const;
  std::vector<WordToken> compute(std::string_view word) const;
  // Appends with `base` added to the positions.
  void encode_part(std::string_view word, std::size_t base, std::vector<WordToken>& out) const;

  TextMap<std::int32_t> ids_;
  std::vector<Merge> merges_;
  std::array<std::int32_t, 256> byte_ids_{};  // of a byte, or its fallback; -1: the vocabulary does not have it
  bool byte_level_ = true;
  bool byte_fallback_ = false;
  // No token holds a space mark after another character, so that a word may be cut there before it is merged.
  bool cuts_before_marks_ = false;
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
