// What kind of word an answer begins with (README.md). Pure functions of text; matching compares bytes, as
// whole words (sdk/words.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "function_words.hpp"
#include "palimpsest/sdk/words.hpp"

namespace palimpsest::token_types {

// In the order in which they are tried: the first that matches wins.
enum class Type : std::size_t { kTargetNew, kTargetTrue, kOtherTarget, kCapitalised, kFunctionWord, kOther };
inline constexpr std::array<const char*, 6> kNames = {"target_new",  "target_true",   "other_target",
                                                      "capitalised", "function_word", "other"};

// What an answer may be, besides its words.
struct Answers {
  std::string target_new, target_true;  // "": none
  std::vector<std::string> others;      // other targets of the relation
};

// White space and opening quotes and brackets before the first word.
inline std::string_view without_lead(std::string_view text) {
  constexpr std::array<std::string_view, 14> kSkipped = {" ", "\t", "\n", "\r", "\"",     "'",      "(",
                                                         "[", "{",  "*",  "_",  "\u201C", "\u2018", "\u00AB"};
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view skipped : kSkipped) {
      if (!text.starts_with(skipped)) continue;
      text.remove_prefix(skipped.size());
      found = true;
    }
  }
  return text;
}

// The word that `text` begins with: word characters, and hyphens and apostrophes between them; "" where another
// character stands first.
inline std::string_view first_word(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size()) {
    if (sdk::detail::word_begins_at(text, end)) {
      end += std::min(sdk::detail::character_size(text[end]), text.size() - end);
    } else if (end > 0 && (text[end] == '-' || text[end] == '\'') && sdk::detail::word_begins_at(text, end + 1)) {
      ++end;
    } else {
      break;
    }
  }
  return text.substr(0, end);
}

// Whether `word` begins with a capital letter: ASCII, Latin-1, Latin Extended-A (there capitals are mostly the even
// numbers up to 0x137 and from 0x14A, the odd ones between), Greek or Cyrillic.
inline bool is_capitalised(std::string_view word) {
  if (word.empty()) return false;
  const std::uint32_t code = sdk::detail::character_at(word, 0);
  const auto within = [&](std::uint32_t from, std::uint32_t to) { return code >= from && code <= to; };
  if (within('A', 'Z') || (within(0xC0, 0xDE) && code != 0xD7)) return true;
  if (within(0x100, 0x137) || within(0x14A, 0x177)) return code % 2 == 0;
  if (within(0x139, 0x148) || within(0x179, 0x17E)) return code % 2 == 1;
  return code == 0x178 || within(0x386, 0x38F) || within(0x391, 0x3AB) || within(0x400, 0x42F);
}

inline bool begins_with_words(std::string_view text, std::string_view words) {
  return !words.empty() && text.starts_with(words) && sdk::stands_as_words(text, 0, words.size());
}

// The type of the answer that `continuation` gives.
inline Type type_of(std::string_view continuation, const Answers& answers) {
  const std::string_view text = without_lead(continuation);
  if (begins_with_words(text, answers.target_new)) return Type::kTargetNew;
  if (begins_with_words(text, answers.target_true)) return Type::kTargetTrue;
  const auto said = [&](const std::string& other) { return begins_with_words(text, other); };
  if (std::any_of(answers.others.begin(), answers.others.end(), said)) return Type::kOtherTarget;
  const std::string_view word = first_word(text);
  if (is_capitalised(word)) return Type::kCapitalised;
  if (is_function_word(word)) return Type::kFunctionWord;
  return Type::kOther;
}

}  // namespace palimpsest::token_types
