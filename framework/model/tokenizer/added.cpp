#include "model/tokenizer/added.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "model/tokenizer/bytes.hpp"
#include "model/tokenizer/classes.hpp"

namespace palimpsest::model {
namespace {

bool is_continuation(char byte) { return (static_cast<std::uint8_t>(byte) & 0xC0) == 0x80; }

// The code point at a boundary of well-formed UTF-8, and its size in bytes.
std::pair<char32_t, std::size_t> point_after(std::string_view text, std::size_t at) {
  std::size_t size = 1;
  while (at + size < text.size() && is_continuation(text[at + size])) ++size;
  return {decode_utf8(text.substr(at, size)).points.front(), size};
}

std::pair<char32_t, std::size_t> point_before(std::string_view text, std::size_t end) {
  std::size_t begin = end - 1;
  while (is_continuation(text[begin])) --begin;
  return {decode_utf8(text.substr(begin, end - begin)).points.front(), end - begin};
}

}  // namespace

void AddedTokenMatcher::Trie::add(const AddedToken& token, std::string_view written) {
  std::uint32_t node = 0;
  first_[static_cast<std::uint8_t>(written.front())] = true;
  for (const char c : written) {
    const auto byte = static_cast<std::uint8_t>(c);
    const auto& children = nodes_[node].children;
    const auto found =
        std::find_if(children.begin(), children.end(), [&](const auto& child) { return child.first == byte; });
    if (found != children.end()) {
      node = found->second;
      continue;
    }
    const auto created = static_cast<std::uint32_t>(nodes_.size());
    nodes_[node].children.emplace_back(byte, created);
    nodes_.emplace_back();
    node = created;
  }
  nodes_[node].token = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back(token);
}

std::pair<const AddedToken*, std::size_t> AddedTokenMatcher::Trie::longest(std::string_view text,
                                                                           std::size_t at) const {
  std::pair<const AddedToken*, std::size_t> best{nullptr, at};
  std::uint32_t node = 0;
  for (; at < text.size(); ++at) {
    const auto byte = static_cast<std::uint8_t>(text[at]);
    const auto& children = nodes_[node].children;
    const auto found =
        std::find_if(children.begin(), children.end(), [&](const auto& child) { return child.first == byte; });
    if (found == children.end()) break;
    node = found->second;
    if (nodes_[node].token >= 0) best = {&tokens_[static_cast<std::size_t>(nodes_[node].token)], at + 1};
  }
  return best;
}

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens,
                                     const std::function<std::string(std::string_view)>& normalise) {
  for (const AddedToken& token : tokens) {
    if (!token.normalized) {
      raw_.add(token, token.content);
      continue;
    }
    const std::string written = normalise(token.content);
    if (written.empty()) {
      fail(ErrorCode::kUnsupported, "added_tokens: the normalizer leaves nothing of \"", token.content, "\"");
    }
    normalised_.add(token, written);
  }
}

void AddedTokenMatcher::split_by(const Trie& trie, std::string_view text, std::size_t base, std::vector<Segment>& out) {
  std::size_t done = 0;
  std::size_t at = 0;
  while (!trie.empty() && at < text.size()) {
    if (!trie.begins_with(text[at])) {
      ++at;
      continue;
    }
    const auto [token, match_end] = trie.longest(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = match_end;
    at = end;  // a match that is turned down is passed over whole
    if (token->single_word) {
      if (begin > 0 && contains(word_set(), point_before(text, begin).first)) continue;
      if (end < text.size() && contains(word_set(), point_after(text, end).first)) continue;
    }
    if (token->lstrip) {
      while (begin > done) {
        const auto [point, size] = point_before(text, begin);
        if (!contains(white_space_set(), point)) break;
        begin -= size;
      }
      begin = std::max(begin, done);
    }
    if (token->rstrip) {
      while (end < text.size()) {
        const auto [point, size] = point_after(text, end);
        if (!contains(white_space_set(), point)) break;
        end += size;
      }
    }
    if (begin > done) out.push_back({-1, base + done, base + begin});
    out.push_back({token->id, base + begin, base + end});
    done = end;
  }
  if (done < text.size()) out.push_back({-1, base + done, base + text.size()});
}

}  // namespace palimpsest::model
