// Written-out prompts as templates with {} where the subject stands.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "palimpsest/sdk/words.hpp"

namespace palimpsest::sdk {

// `prompt` with the subject's last occurrence replaced by {}: as whole words where it stands so, else wherever it
// stands. None when the prompt does not hold the subject. The last one, because the subject's last token is where
// editors read their key.
inline std::optional<std::string> template_of(std::string_view prompt, std::string_view subject) {
  if (subject.empty()) return std::nullopt;
  std::size_t at = find_last_words(prompt, subject);
  if (at == std::string_view::npos) at = prompt.rfind(subject);
  if (at == std::string_view::npos) return std::nullopt;
  return std::string(prompt.substr(0, at)) + "{}" + std::string(prompt.substr(at + subject.size()));
}

}  // namespace palimpsest::sdk
