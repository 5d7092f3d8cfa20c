// Exact match and F1 of an answer as SQuAD defines them (Rajpurkar et al. 2016): both texts are put in lower case,
// ASCII punctuation goes, then the articles a, an, the, and words are what is left between white space.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "palimpsest/sdk/words.hpp"

namespace palimpsest::question_answering {

// Lower case of ASCII, of Latin-1 and Latin Extended-A, of Greek and of Cyrillic; other letters stay as they are.
inline std::uint32_t lower(std::uint32_t code) {
  if (code >= 'A' && code <= 'Z') return code + 32;
  if (code < 0xC0) return code;
  if (code <= 0xDE) return code == 0xD7 ? code : code + 32;
  const bool even_upper = (code >= 0x100 && code <= 0x137) || (code >= 0x14A && code <= 0x177);
  const bool odd_upper = (code >= 0x139 && code <= 0x148) || (code >= 0x179 && code <= 0x17E);
  if (code == 0x130 || code == 0x138) return code;
  if (code == 0x178) return 0xFF;
  if (even_upper) return code | 1U;
  if (odd_upper) return code + (code & 1U);
  if (code >= 0x391 && code <= 0x3AB && code != 0x3A2) return code + 32;
  if (code >= 0x410 && code <= 0x42F) return code + 32;
  if (code >= 0x400 && code <= 0x40F) return code + 80;
  return code;
}

inline std::string lower_text(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = std::min(sdk::detail::character_size(text[at]), text.size() - at);
    const std::uint32_t code = sdk::detail::character_at(text, at);
    const std::uint32_t changed = code == sdk::detail::kNoCharacter ? code : lower(code);
    if (changed == code) {
      out += text.substr(at, size);
    } else if (changed < 0x80) {
      out += static_cast<char>(changed);
    } else {  // everything that changes beyond ASCII has two bytes
      out += static_cast<char>(0xC0U | (changed >> 6));
      out += static_cast<char>(0x80U | (changed & 0x3FU));
    }
    at += size;
  }
  return out;
}

// Every place where the article stands as a whole word becomes a space.
inline std::string without(std::string_view text, std::string_view article) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at, article.size()) == article && sdk::stands_as_words(text, at, article.size())) {
      out += ' ';
      at += article.size();
    } else {
      out += text[at++];
    }
  }
  return out;
}

// The words of the text after normalisation.
inline std::vector<std::string> squad_words(std::string_view text) {
  constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  std::string plain = lower_text(text);
  std::erase_if(plain, [&](char c) { return kPunctuation.find(c) != std::string_view::npos; });
  for (const std::string_view article : {"a", "an", "the"}) plain = without(plain, article);
  std::vector<std::string> words;
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  for (std::size_t at = plain.find_first_not_of(kSpace); at != std::string::npos;) {
    const std::size_t end = std::min(plain.find_first_of(kSpace, at), plain.size());
    words.push_back(plain.substr(at, end - at));
    at = plain.find_first_not_of(kSpace, end);
  }
  return words;
}

inline bool exact_match(std::string_view answer, std::string_view expected) {
  return squad_words(answer) == squad_words(expected);
}

// Harmonic mean of precision and recall of the answer's words, each word as often as it stands. Where either text has
// no word left: 1 if both have none, else 0.
inline double f1(std::string_view answer, std::string_view expected) {
  const std::vector<std::string> given = squad_words(answer), wanted = squad_words(expected);
  if (given.empty() || wanted.empty()) return given == wanted ? 1 : 0;
  std::map<std::string_view, std::ptrdiff_t> left;
  for (const auto& word : wanted) ++left[word];
  std::size_t common = 0;
  for (const auto& word : given) {
    if (left[word]-- > 0) ++common;
  }
  return 2.0 * static_cast<double>(common) / static_cast<double>(given.size() + wanted.size());
}

}  // namespace palimpsest::question_answering
