// The outcome `generated`: does a greedy continuation say the target?
#pragma once

#include <cstddef>
#include <string_view>

#include "palimpsest/sdk/words.hpp"

namespace palimpsest::retention {

// Targets with fewer characters count only as the first word: "is", "US" or "Cr" stand in any text by chance.
inline constexpr std::size_t kShortTarget = 4;

// Whether `target` stands in `continuation` as whole words (case-sensitive, as the references compare strings); a short
// one only as the first word, after spaces.
constexpr bool says(std::string_view continuation, std::string_view target) {
  if (sdk::count_characters(target) >= kShortTarget) {
    return sdk::find_words(continuation, target) != std::string_view::npos;
  }
  const std::size_t begin = continuation.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || target.empty()) return false;
  return continuation.substr(begin).starts_with(target) &&
         sdk::stands_as_words(continuation.substr(begin), 0, target.size());
}

}  // namespace palimpsest::retention
