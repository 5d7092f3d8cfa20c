#include "base/layout.hpp"

#include <algorithm>
#include <sstream>

namespace palimpsest {
namespace {

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

// The first `width` code points.
std::string cut(std::string_view text, std::size_t width) {
  std::size_t bytes = 0;
  for (std::size_t points = 0; bytes < text.size(); ++bytes) {
    if ((static_cast<unsigned char>(text[bytes]) & 0xC0u) == 0x80u) continue;
    if (points++ == width) break;
  }
  return std::string(text.substr(0, bytes));
}

}  // namespace

std::string wrapped(const std::string& text, std::string_view first, std::string_view rest) {
  std::string out, line(first);
  bool begun = false;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (begun && width_of(line) + 1 + width_of(word) > kTextWidth) {
      out += line + "\n";
      line = rest;
      begun = false;
    }
    if (begun) line += ' ';
    line += word;
    begun = true;
    while (width_of(line) > kTextWidth) {
      const std::string head = cut(line, kTextWidth);
      out += head + "\n";
      line = std::string(rest) + line.substr(head.size());
    }
  }
  return out + line + "\n";
}

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - width_of(row[i]), ' ');
      line += i == 0 ? row[i] + space : "  " + space + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace palimpsest
