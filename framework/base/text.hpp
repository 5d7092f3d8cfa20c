// Numbers and lists as messages and reports print them.
#pragma once

#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>

#include "base/error.hpp"

namespace palimpsest {

// `value` as std::snprintf prints it; `format` has one conversion, of a double: "%.2f", "%.0f MiB".
inline std::string number_text(const char* format, double value) {
  std::string text(static_cast<std::size_t>(std::snprintf(nullptr, 0, format, value)), '\0');
  std::snprintf(text.data(), text.size() + 1, format, value);
  return text;
}

// "a, b, c": each item, or what `shown` gives of it (a function, or a pointer to a member), as cat() prints it.
template <typename Range, typename Shown = std::identity>
std::string list_text(const Range& items, Shown shown = {}) {
  std::string text;
  for (const auto& item : items) text += cat(text.empty() ? "" : ", ", std::invoke(shown, item));
  return text;
}

}  // namespace palimpsest
