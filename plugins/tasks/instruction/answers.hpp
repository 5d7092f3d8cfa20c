// When a continuation counts as the expected response.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace palimpsest::instruction {

// Without white space around it and one full stop at its end, ASCII letters in lower case.
inline std::string plain_answer(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const auto trim = [&] {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    text.remove_suffix(text.size() - std::min(text.find_last_not_of(kSpace) + 1, text.size()));
  };
  trim();
  if (text.ends_with('.')) {
    text.remove_suffix(1);
    trim();
  }
  std::string plain(text);
  for (char& c : plain) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return plain;
}

inline bool is_one_line(std::string_view response) { return response.find('\n') == std::string_view::npos; }

// A response of one line is compared with the first line of the continuation that is not blank, so that a model which
// goes on talking is not wrong; a longer one with all of it.
inline bool matches(std::string_view continuation, std::string_view response) {
  if (is_one_line(response)) {
    continuation.remove_prefix(std::min(continuation.find_first_not_of(" \t\r\n"), continuation.size()));
    continuation = continuation.substr(0, continuation.find('\n'));
  }
  return plain_answer(continuation) == plain_answer(response);
}

}  // namespace palimpsest::instruction
