// Text for people: words on lines of limited width, and tables. Widths are counted in code points, since names may be
// in any script. Free functions without state.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace palimpsest {

inline constexpr std::size_t kTextWidth = 100;

// The words of `text` on lines of at most kTextWidth, each ended; the first begins with `first`, later ones with
// `rest`. A word longer than a line is broken.
std::string wrapped(const std::string& text, std::string_view first, std::string_view rest);

// Two spaces, then the cells of a row two spaces apart; the first column to the left, the others to the right.
std::string aligned(const std::vector<std::vector<std::string>>& rows);

}  // namespace palimpsest
