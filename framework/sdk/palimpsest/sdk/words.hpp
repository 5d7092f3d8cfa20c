// Whole words in UTF-8 text: the one rule by which outcomes and templates look for a subject or a target.
//
// A word character is an ASCII letter, digit or underscore, or any character beyond ASCII that is not punctuation, a
// symbol or a space of the blocks named below. Matching compares bytes: case and accents count. Bytes that are no UTF-8
// count as word characters, so that a cut character never makes a boundary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace palimpsest::sdk {

namespace detail {

// The bytes of the character that begins with `lead`; 1 for what cannot begin one.
constexpr std::size_t character_size(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte >= 0xF0 && byte < 0xF8 ? 4 : byte >= 0xE0 ? (byte < 0xF0 ? 3 : 1) : byte >= 0xC0 ? 2 : 1;
}
constexpr bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Stands for bytes that are no UTF-8; beyond all characters.
inline constexpr std::uint32_t kNoCharacter = 0x110000;

// The character that begins at `at`.
constexpr std::uint32_t character_at(std::string_view text, std::size_t at) {
  const std::size_t size = character_size(text[at]);
  const auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) return lead;
  if (size == 1 || at + size > text.size()) return kNoCharacter;
  std::uint32_t code = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) code = (code << 6) | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
  return code;
}

constexpr bool is_word_character(std::uint32_t code) {
  if (code < 0x80) {
    return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') || (code >= '0' && code <= '9') || code == '_';
  }
  // Latin-1 punctuation but its letters (ª µ º), × and ÷; general punctuation, super- and subscripts' neighbours,
  // currency, arrows, operators and shapes; CJK punctuation; full-width punctuation; the replacement character.
  if (code >= 0xA0 && code <= 0xBF) return code == 0xAA || code == 0xB5 || code == 0xBA;
  if (code == 0xD7 || code == 0xF7) return false;
  if ((code >= 0x2000 && code <= 0x206F) || (code >= 0x20A0 && code <= 0x20CF)) return false;
  if ((code >= 0x2190 && code <= 0x27BF) || (code >= 0x3000 && code <= 0x3004)) return false;
  if ((code >= 0x3008 && code <= 0x3020) || code == 0xFFFD || code == 0xFEFF) return false;
  return !((code >= 0xFF01 && code <= 0xFF0F) || (code >= 0xFF1A && code <= 0xFF20));
}

constexpr bool word_begins_at(std::string_view text, std::size_t at) {
  return at < text.size() && is_word_character(character_at(text, at));
}
constexpr bool word_ends_at(std::string_view text, std::size_t end) {
  if (end == 0) return false;
  std::size_t at = end - 1;
  while (at > 0 && continues(text[at]) && end - at < 4) --at;
  return is_word_character(character_at(text, at));
}

}  // namespace detail

// Characters (code points) of a text.
constexpr std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += detail::continues(c) ? 0 : 1;
  return count;
}

// Whether [at, at + size) of `text` is cut out at word boundaries: the text does not go on with a word character on a
// side where the piece itself has one.
constexpr bool stands_as_words(std::string_view text, std::size_t at, std::size_t size) {
  const std::string_view piece = text.substr(at, size);
  const bool left = detail::word_ends_at(text, at) && detail::word_begins_at(piece, 0);
  const bool right = detail::word_begins_at(text, at + size) && detail::word_ends_at(piece, piece.size());
  return !left && !right;
}

// Where `words` first stands as whole words in `text`; npos: nowhere, or `words` is empty.
constexpr std::size_t find_words(std::string_view text, std::string_view words) {
  if (words.empty()) return std::string_view::npos;
  for (std::size_t at = text.find(words); at != std::string_view::npos; at = text.find(words, at + 1)) {
    if (stands_as_words(text, at, words.size())) return at;
  }
  return std::string_view::npos;
}

// Where `words` last stands as whole words in `text`; npos as above.
constexpr std::size_t find_last_words(std::string_view text, std::string_view words) {
  if (words.empty()) return std::string_view::npos;
  for (std::size_t at = text.rfind(words); at != std::string_view::npos; at = text.rfind(words, at - 1)) {
    if (stands_as_words(text, at, words.size())) return at;
    if (at == 0) break;
  }
  return std::string_view::npos;
}

}  // namespace palimpsest::sdk
