// Which tokens of a prompt are traced and what they are called, and which layers a window covers. Needs no libtorch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace palimpsest::causal_trace {

// [begin, end), of tokens or of layers; empty where they are equal.
struct Range {
  std::int64_t begin = 0, end = 0;
};

// The tokens that hold any byte of the subject. `offsets`: the bytes of each token; the subject is the bytes
// [subject_begin, subject_end).
inline Range subject_tokens(const std::vector<std::pair<std::size_t, std::size_t>>& offsets, std::size_t subject_begin,
                            std::size_t subject_end) {
  Range range;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    if (offsets[i].first >= subject_end || offsets[i].second <= subject_begin) continue;
    if (range.end == 0) range.begin = static_cast<std::int64_t>(i);
    range.end = static_cast<std::int64_t>(i) + 1;
  }
  return range;
}

// The classes over which the paper averages. A subject of one token has its last one alone; the prompt's last token is
// `last`, whatever else it is behind the subject.
inline std::string_view token_class(std::int64_t token, const Range& subject, std::int64_t tokens) {
  if (token < subject.begin) return "before_subject";
  if (token < subject.end) {
    return token == subject.end - 1 ? "last_subject" : token == subject.begin ? "first_subject" : "middle_subject";
  }
  return token == tokens - 1 ? "last" : token == subject.end ? "first_subsequent" : "further";
}

// Layers [begin, end) of a window of `width` around `layer`, cut at the model's ends, as the authors place it.
inline Range window_around(std::int64_t layer, std::int64_t width, std::int64_t layers) {
  return {std::max<std::int64_t>(0, layer - width / 2), std::min(layers, layer + (width + 1) / 2)};
}

// The authors' 10 of GPT-2 XL's 48 layers, for a model of `layers`.
inline std::int64_t scaled_window(std::int64_t layers) { return std::max<std::int64_t>(1, (layers * 10 + 24) / 48); }

}  // namespace palimpsest::causal_trace
