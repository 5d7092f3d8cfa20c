// What becomes of a sentence that the model wrote: a prompt template, or the reason why not.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "palimpsest/sdk/templates.hpp"
#include "palimpsest/sdk/words.hpp"

namespace palimpsest::self {

enum class Fate { kKept, kNoSubject, kNoTarget, kTooShort };

struct Candidate {
  Fate fate = Fate::kKept;
  std::string prompt;  // template with one {}, when kept
};

// Words of a template beside its {}: fewer would ask about nothing in particular.
inline constexpr std::size_t kFewestWords = 2;

inline std::size_t count_words(std::string_view text) {
  std::size_t count = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t';
    count += !space && !inside ? 1 : 0;
    inside = !space;
  }
  return count;
}

// `sentence` cut before the target's first occurrence behind the subject, both as whole words. Everything after the
// target is dropped; a sentence that names the target first teaches no prompt that ends before it.
inline Candidate candidate_of(std::string_view sentence, std::string_view subject, std::string_view target) {
  const std::size_t first = sdk::find_words(sentence, subject);
  if (first == std::string_view::npos) return {Fate::kNoSubject, {}};
  const std::size_t behind = first + subject.size();
  const std::size_t at = sdk::find_words(sentence.substr(behind), target);
  if (at == std::string_view::npos) return {Fate::kNoTarget, {}};
  std::string_view prompt = sentence.substr(0, behind + at);
  const std::size_t begin = prompt.find_first_not_of(" \t\"'");
  prompt.remove_prefix(begin == std::string_view::npos ? prompt.size() : begin);
  // The target gets its space from the tokenizer's rule.
  prompt = prompt.substr(0, prompt.find_last_not_of(" \t") + 1);
  auto made = sdk::template_of(prompt, subject);
  if (!made) return {Fate::kNoSubject, {}};
  if (count_words(*made) < kFewestWords + 1 || made->find("{}") != made->rfind("{}")) return {Fate::kTooShort, {}};
  return {Fate::kKept, std::move(*made)};
}

// Case, spaces and final punctuation aside, what tells two prompts apart.
inline std::string folded(std::string_view prompt) {
  std::string made;
  for (const char c : prompt) {
    const bool space = c == ' ' || c == '\t';
    if (space && (made.empty() || made.back() == ' ')) continue;
    made += space ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  while (!made.empty() && std::string_view(" .,:;!?").find(made.back()) != std::string_view::npos) made.pop_back();
  return made;
}

}  // namespace palimpsest::self
