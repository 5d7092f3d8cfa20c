#include "model/tokenizer/bpe.hpp"

#include <algorithm>
#include <queue>
#include <span>

#include "base/error.hpp"
#include "model/tokenizer/bytes.hpp"

namespace palimpsest::model {
namespace {

// Up to this many bytes, searching all pairs for the best one is faster than keeping a queue.
constexpr std::size_t kShortWord = 48;
constexpr std::size_t kLongestCachedWord = 64;
constexpr std::size_t kWordsPerShard = 4096;
// What vocabularies over characters write for a space, U+2581.
constexpr std::string_view kSpaceMark = "\u2581";

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
}

// The next place from `at` on where a space mark follows another character, or the end.
std::size_t next_cut(std::string_view text, std::size_t at) {
  while (true) {
    const std::size_t mark = text.find(kSpaceMark, at);
    if (mark == std::string_view::npos) return text.size();
    if (mark > 0 && !text.substr(0, mark).ends_with(kSpaceMark)) return mark;
    at = mark + kSpaceMark.size();
  }
}

std::string fallback_token(std::size_t byte) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

}  // namespace

BytePairEncoder::BytePairEncoder(const BpeDescription& description)
    : byte_level_(description.byte_level),
      byte_fallback_(description.byte_fallback),
      fuse_unk_(description.fuse_unk),
      ignore_merges_(description.ignore_merges),
      cache_(std::make_unique<std::array<Shard, kShards>>()) {
  ids_.reserve(description.vocabulary.size());
  for (const auto& [text, id] : description.vocabulary) ids_.emplace(text, id);
  for (std::size_t b = 0; b < 256; ++b) {
    byte_ids_[b] = (byte_level_ ? token_id(byte_character(static_cast<std::uint8_t>(b))) : token_id(fallback_token(b)))
                       .value_or(-1);
  }
  if (description.unk_token) {
    const auto id = token_id(*description.unk_token);
    if (!id) fail(ErrorCode::kCorrupt, "model.unk_token \"", *description.unk_token, "\" is not in model.vocab");
    unk_id_ = *id;
  }

  // Nor is any character dropped, which would bring marks together.
  const bool has_all_bytes = std::none_of(byte_ids_.begin(), byte_ids_.end(), [](std::int32_t id) { return id < 0; });
  cuts_before_marks_ = !byte_level_ && !ignore_merges_ && token_id(kSpaceMark).has_value() &&
                       (unk_id_ >= 0 || (byte_fallback_ && has_all_bytes));
  std::size_t capacity = 16;
  while (capacity < description.merges.size() * 2) capacity *= 2;
  merges_.resize(capacity);
  for (std::size_t rank = 0; rank < description.merges.size(); ++rank) {
    const auto& [left, right] = description.merges[rank];
    const auto id_of = [&](const std::string& text) {
      const auto id = token_id(text);
      if (!id) {
        fail(ErrorCode::kCorrupt, "model.merges[", rank, "] (\"", left, "\" and \"", right, "\"): \"", text,
             "\" is not in model.vocab");
      }
      return *id;
    };
    const std::uint64_t key = pair_key(id_of(left), id_of(right));
    Merge& merge = merges_[place(key)];
    const std::string both = left + right;
    merge = {key, static_cast<std::uint32_t>(rank), id_of(both)};
    cuts_before_marks_ = cuts_before_marks_ && next_cut(both, 0) == both.size();
  }
}

std::optional<std::int32_t> BytePairEncoder::token_id(std::string_view text) const {
  const auto found = ids_.find(text);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

std::size_t BytePairEncoder::place(std::uint64_t key) const {
  const std::size_t mask = merges_.size() - 1;
  std::uint64_t hash = key * 0x9E3779B97F4A7C15u;
  hash ^= hash >> 32;
  auto at = static_cast<std::size_t>(hash) & mask;
  while (merges_[at].key != kEmpty && merges_[at].key != key) at = (at + 1) & mask;
  return at;
}

const BytePairEncoder::Merge* BytePairEncoder::find(std::int32_t left, std::int32_t right) const {
  const Merge& merge = merges_[place(pair_key(left, right))];
  return merge.key == kEmpty ? nullptr : &merge;
}

std::vector<WordToken> BytePairEncoder::first_tokens(std::string_view word) const {
  return byte_level_ ? first_tokens_of_bytes(word) : first_tokens_of_characters(word);
}

std::vector<WordToken> BytePairEncoder::first_tokens_of_bytes(std::string_view word) const {
  std::vector<WordToken> tokens;
  tokens.reserve(word.size());
  bool after_unknown = false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto at = static_cast<std::uint32_t>(i);
    const std::int32_t id = byte_ids_[static_cast<std::uint8_t>(word[i])];
    if (id >= 0) {
      tokens.push_back({id, at, at + 1});
    } else if (unk_id_ >= 0 && fuse_unk_ && after_unknown) {
      tokens.back().end = at + 1;
    } else if (unk_id_ >= 0) {
      tokens.push_back({unk_id_, at, at + 1});
    }
    after_unknown = id < 0;
  }
  return tokens;
}

bool BytePairEncoder::append_fallback(std::string_view word, std::size_t begin, std::size_t end,
                                      std::vector<WordToken>& out) const {
  const auto id = [&](std::size_t i) { return byte_ids_[static_cast<std::uint8_t>(word[i])]; };
  for (std::size_t i = begin; i < end; ++i) {
    if (id(i) < 0) return false;
  }
  for (std::size_t i = begin; i < end; ++i) {
    out.push_back({id(i), static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i + 1)});
  }
  return true;
}

std::vector<WordToken> BytePairEncoder::first_tokens_of_characters(std::string_view word) const {
  std::vector<WordToken> tokens;
  tokens.reserve(word.size());
  std::optional<WordToken> unknown;  // held until a known character comes: fallback bytes between go before it
  const auto put_unknown = [&] {
    if (unknown) tokens.push_back(*unknown);
    unknown.reset();
  };
  for (std::size_t begin = 0, end = 0; begin < word.size(); begin = end) {
    end = begin + 1;
    while (end < word.size() && (static_cast<std::uint8_t>(word[end]) & 0xC0) == 0x80) ++end;
    const auto first = static_cast<std::uint32_t>(begin);
    const auto last = static_cast<std::uint32_t>(end);
    if (const auto id = token_id(word.substr(begin, end - begin))) {
      put_unknown();
      tokens.push_back({*id, first, last});
    } else if (byte_fallback_ && append_fallback(word, begin, end, tokens)) {
      continue;
    } else if (unk_id_ >= 0 && fuse_unk_ && unknown) {
      unknown->end = last;
    } else if (unk_id_ >= 0) {
      put_unknown();
      unknown = {unk_id_, first, last};
    }
  }
  put_unknown();
  return tokens;
}

void BytePairEncoder::merge_short(std::vector<WordToken>& tokens) const {
  std::array<const Merge*, kShortWord> best{};  // of the pair (i, i + 1)
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) best[i] = find(tokens[i].id, tokens[i + 1].id);
  while (tokens.size() > 1) {
    std::size_t chosen = 0;
    std::uint32_t rank = kNoRank;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      if (best[i] != nullptr && best[i]->rank < rank) {
        rank = best[i]->rank;
        chosen = i;
      }
    }
    if (rank == kNoRank) return;
    tokens[chosen].id = best[chosen]->merged;
    tokens[chosen].end = tokens[chosen + 1].end;
    for (std::size_t i = chosen + 1; i + 1 < tokens.size(); ++i) {
      tokens[i] = tokens[i + 1];
      best[i] = best[i + 1];
    }
    tokens.pop_back();
    if (chosen > 0) best[chosen - 1] = find(tokens[chosen - 1].id, tokens[chosen].id);
    best[chosen] = chosen + 1 < tokens.size() ? find(tokens[chosen].id, tokens[chosen + 1].id) : nullptr;
  }
}

void BytePairEncoder::merge_long(std::vector<WordToken>& tokens) const {
  constexpr std::size_t kNone = ~std::size_t{0};
  struct Link {
    std::size_t previous;
    std::size_t next;
  };
  struct Candidate {
    std::uint32_t rank;
    std::size_t left;
    std::int32_t left_id;  // a candidate is stale once one of its ids has changed
    std::int32_t right_id;
    std::int32_t merged;
    bool operator<(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };
  std::vector<Link> links(tokens.size());
  std::priority_queue<Candidate> queue;
  const auto offer = [&](std::size_t left) {
    if (left == kNone || links[left].next == kNone) return;
    const std::int32_t a = tokens[left].id;
    const std::int32_t b = tokens[links[left].next].id;
    if (const Merge* merge = find(a, b)) queue.push({merge->rank, left, a, b, merge->merged});
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    links[i] = {i == 0 ? kNone : i - 1, i + 1 == tokens.size() ? kNone : i + 1};
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) offer(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const std::size_t right = links[top.left].next;
    if (tokens[top.left].id != top.left_id || right == kNone || tokens[right].id != top.right_id) continue;
    tokens[top.left].id = top.merged;
    tokens[top.left].end = tokens[right].end;
    tokens[right].id = -1;
    links[top.left].next = links[right].next;
    if (links[right].next != kNone) links[links[right].next].previous = top.left;
    offer(links[top.left].previous);
    offer(top.left);
  }
  std::erase_if(tokens, [](const WordToken& token) { return token.id < 0; });
}

std::vector<WordToken> BytePairEncoder::compute(std::string_view word) const {
  if (ignore_merges_) {
    if (const auto id = byte_level_ ? token_id(to_byte_characters(word)) : token_id(word)) {
      return {{*id, 0, static_cast<std::uint32_t>(word.size())}};
    }
  }
  std::vector<WordToken> tokens = first_tokens(word);
  if (tokens.size() <= kShortWord) {
    merge_short(tokens);
  } else {
    merge_long(tokens);
  }
  return tokens;
}

void BytePairEncoder::encode(std::string_view word, std::vector<WordToken>& out) const {
  if (word.size() > UINT32_MAX) fail(ErrorCode::kOutOfRange, "a word of ", word.size(), " bytes; at most ", UINT32_MAX);
  if (!cuts_before_marks_) {
    encode_part(word, 0, out);
    return;
  }
  for (std::size_t begin = 0; begin < word.size();) {
    const std::size_t end = begin + next_cut(word.substr(begin), 0);
    encode_part(word.substr(begin, end - begin), begin, out);
    begin = end;
  }
}

void BytePairEncoder::encode_part(std::string_view word, std::size_t base, std::vector<WordToken>& out) const {
  const auto put = [&](const std::vector<WordToken>& tokens) {
    out.insert(out.end(), tokens.begin(), tokens.end());
    if (base == 0) return;
    const auto shift = static_cast<std::uint32_t>(base);
    for (WordToken& token : std::span(out).last(tokens.size())) {
      token.begin += shift;
      token.end += shift;
    }
  };
  if (byte_level_ && word.size() == 1 && byte_ids_[static_cast<std::uint8_t>(word[0])] >= 0) {
    out.push_back({byte_ids_[static_cast<std::uint8_t>(word[0])], 0, 1});
    return;
  }
  if (word.size() > kLongestCachedWord) {
    put(compute(word));
    return;
  }
  Shard& shard = (*cache_)[Hash{}(word) % kShards];
  {
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.words.find(word);
    if (found != shard.words.end()) {
      put(found->second);
      return;
    }
  }
  std::vector<WordToken> tokens = compute(word);
  put(tokens);
  const std::lock_guard lock(shard.mutex);
  if (shard.words.size() < kWordsPerShard) shard.words.emplace(word, std::move(tokens));
}

}  // namespace palimpsest::model
