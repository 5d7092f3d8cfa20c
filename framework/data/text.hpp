// Text as facts and the irrelevance filter compare it: checked UTF-8, folded words.
//
// A word is a maximal run of letters, marks and digits; in scripts written without spaces (Han, kana, Thai, Lao, Khmer,
// Burmese) every code point is a word of its own, so that whole-word search works there too. Words fold case and the
// two ways to write an accent. Everything here is pure and safe to call from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace palimpsest::data {

// Byte offset of the first byte that is not part of well-formed UTF-8 (overlong forms, surrogates and code points above
// U+10FFFF are malformed), or nothing.
std::optional<std::size_t> first_invalid_utf8(std::string_view text);

// Throws Error(kInvalidArgument) `file:line: byte N (offset M in the line): ...` for the first malformed byte, or for a
// zero byte, which no text of ours may hold because texts cross the plugin boundary as C strings.
void require_utf8(std::string_view text, std::string_view file);

// Case and accents folded, runs of white space as one space, none at the ends; punctuation stays.
std::string fold_text(std::string_view text);

// White space (ASCII, no-break space, U+2000-U+200A, U+202F, U+3000) cut off both ends.
std::string_view trimmed(std::string_view text);

// Number of code points of well-formed UTF-8.
std::size_t code_points(std::string_view text);

namespace detail {

// What a code point does: 0 = separates words, 1 = is part of a word, 2 = is a word.
struct CodeTables {
  std::vector<std::uint8_t> kind;   // by code point
  std::vector<std::uint16_t> fold;  // by code point: index of its fold plus 1, or 0
  std::array<char, 256> ascii{};    // folded ASCII word byte, or 0
};
const CodeTables& code_tables();
// Decodes the well-formed code point at text[at], moves `at` behind it.
char32_t next_code_point(std::string_view text, std::size_t& at);
// Appends the folded form of the code point whose bytes are text[from, to).
void append_folded(std::string& out, char32_t code, std::string_view bytes);

}  // namespace detail

// Calls sink(std::string_view word) for every folded word in order: "The Côte d'Ivoire!" -> "the", "côte" (accents
// decomposed), "d", "ivoire". The view lives until the next call. `text` must be well-formed UTF-8.
template <typename Sink>
void for_each_word(std::string_view text, Sink&& sink) {
  const detail::CodeTables& tables = detail::code_tables();
  std::string word;
  word.reserve(64);
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
      const char folded = tables.ascii[byte];
      ++at;
      if (folded != 0) {
        word.push_back(folded);
      } else if (!word.empty()) {
        sink(std::string_view(word));
        word.clear();
      }
      continue;
    }
    const std::size_t from = at;
    const char32_t code = detail::next_code_point(text, at);
    const std::uint8_t kind = tables.kind[code];
    if (kind != 1 && !word.empty()) {
      sink(std::string_view(word));
      word.clear();
    }
    if (kind == 0) continue;
    detail::append_folded(word, code, text.substr(from, at - from));
    if (kind == 2) {
      sink(std::string_view(word));
      word.clear();
    }
  }
  if (!word.empty()) sink(std::string_view(word));
}

}  // namespace palimpsest::data
