// The n-gram entropy of a text (Meng et al. 2022, arXiv 2202.05262, section 3.4: generation entropy, GE).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string_view>
#include <vector>

#include "palimpsest/sdk/words.hpp"

namespace palimpsest::generation {

// The words of a text, and every other character that is no white space as a piece of its own; views into the text.
inline std::vector<std::string_view> pieces(std::string_view text) {
  std::vector<std::string_view> made;
  for (std::size_t at = 0; at < text.size();) {
    const auto size_at = [&](std::size_t place) {
      return std::min(sdk::detail::character_size(text[place]), text.size() - place);
    };
    std::size_t end = at;
    while (end < text.size() && sdk::detail::word_begins_at(text, end)) end += size_at(end);
    if (end > at) {
      made.push_back(text.substr(at, end - at));
    } else {
      end = at + size_at(at);
      const char c = text[at];
      if (c != ' ' && c != '\n' && c != '\t' && c != '\r') made.push_back(text.substr(at, end - at));
    }
    at = end;
  }
  return made;
}

// - sum over the different n-grams of f log2 f, f their relative frequency; bit. 0 when there are fewer than n pieces.
inline double ngram_entropy(const std::vector<std::string_view>& text, std::size_t n) {
  std::map<std::vector<std::string_view>, std::size_t> counts;
  std::size_t total = 0;
  for (std::size_t at = 0; at + n <= text.size(); ++at, ++total) {
    ++counts[{text.begin() + static_cast<std::ptrdiff_t>(at), text.begin() + static_cast<std::ptrdiff_t>(at + n)}];
  }
  double sum = 0;
  for (const auto& [ngram, count] : counts) {
    const double f = static_cast<double>(count) / static_cast<double>(total);
    sum -= f * std::log2(f);
  }
  return sum;
}

// The mean of the entropies of 2- and 3-grams, weighted 2/3 and 4/3: trigrams count twice as much.
inline double weighted_entropy(double bigrams, double trigrams) { return (2.0 / 3 * bigrams + 4.0 / 3 * trigrams) / 2; }

}  // namespace palimpsest::generation
