#include "data/text.hpp"

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "base/utf8.hpp"
#include "data/unicode_tables.hpp"

namespace palimpsest::data {
namespace {

constexpr std::size_t kCodeCount = 0x110000;

// Scripts written without spaces between words.
constexpr unicode::CodeRange kUnspaced[] = {{0x0E00, 0x0EFF}, {0x1000, 0x109F},   {0x1780, 0x17FF},  {0x3005, 0x3007},
                                            {0x3021, 0x3029}, {0x3041, 0x30FF},   {0x31F0, 0x31FF},  {0x3400, 0x4DBF},
                                            {0x4E00, 0x9FFF}, {0xA9E0, 0xA9FE},   {0xAA60, 0xAA7F},  {0xF900, 0xFAFF},
                                            {0xFF66, 0xFF9D}, {0x1AFF0, 0x1B16F}, {0x20000, 0x3FFFD}};

bool is_space(char32_t code) {
  return code == ' ' || (code >= 0x09 && code <= 0x0D) || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
         code == 0x3000;
}

}  // namespace

namespace detail {

const CodeTables& code_tables() {
  static const CodeTables tables = [] {
    CodeTables t;
    t.kind.assign(kCodeCount, 0);
    t.fold.assign(kCodeCount, 0);
    for (std::size_t i = 0; i < unicode::kWordRangeCount; ++i) {
      for (std::uint32_t c = unicode::kWordRanges[i].first; c <= unicode::kWordRanges[i].last; ++c) t.kind[c] = 1;
    }
    for (const auto& range : kUnspaced) {
      for (std::uint32_t c = range.first; c <= range.last; ++c) t.kind[c] = t.kind[c] != 0 ? 2 : 0;
    }
    for (std::size_t i = 0; i < unicode::kFoldCount; ++i) {
      t.fold[unicode::kFolds[i].from] = static_cast<std::uint16_t>(i + 1);
    }
    for (unsigned c = 0; c < 128; ++c) {
      if (c >= 'A' && c <= 'Z') {
        t.ascii[c] = static_cast<char>(c - 'A' + 'a');
      } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        t.ascii[c] = static_cast<char>(c);
      }
    }
    return t;
  }();
  return tables;
}

char32_t next_code_point(std::string_view text, std::size_t& at) {
  const Utf8Step step = utf8_step(text, at);
  if (!step.ok) fail(ErrorCode::kInternal, "a text that was not checked to be UTF-8 is not, at byte ", at);
  at += step.size;
  return step.point;
}

void append_folded(std::string& out, char32_t code, std::string_view bytes) {
  const std::uint16_t fold = code_tables().fold[code];
  if (fold == 0) {
    out.append(bytes);
  } else {
    out.append(unicode::kFolds[fold - 1u].to);
  }
}

}  // namespace detail

std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;
    if (at + 8 <= text.size()) {
      std::memcpy(&eight, text.data() + at, 8);
      if ((eight & 0x8080808080808080ULL) == 0) {
        at += 8;
        continue;
      }
    }
    const Utf8Step step = utf8_step(text, at);
    if (!step.ok) return at;
    at += step.size;
  }
  return std::nullopt;
}

void require_utf8(std::string_view text, std::string_view file) {
  const auto bad = first_invalid_utf8(text);
  const std::size_t zero = text.find('\0');
  const std::size_t at = std::min(bad.value_or(std::string_view::npos), zero);
  if (at == std::string_view::npos) return;
  const auto before = text.substr(0, at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(text[at]);
  fail(ErrorCode::kInvalidArgument, file, ":", line, ": byte 0x", kHex[byte >> 4], kHex[byte & 15], " at byte offset ",
       at, " (", at - line_start, " in its line) is ", byte == 0 ? "a zero byte" : "not UTF-8",
       "; expected UTF-8 text: convert the file, for example with iconv -t UTF-8");
}

std::string fold_text(std::string_view text) {
  const auto& tables = detail::code_tables();
  std::string out;
  out.reserve(text.size());
  bool space = false;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t from = at;
    const char32_t code = detail::next_code_point(text, at);
    if (is_space(code)) {
      space = !out.empty();
      continue;
    }
    if (space) out.push_back(' ');
    space = false;
    if (code < 0x80) {
      out.push_back(tables.ascii[code] != 0 ? tables.ascii[code] : static_cast<char>(code));
    } else {
      detail::append_folded(out, code, text.substr(from, at - from));
    }
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  std::size_t first = text.size(), last = 0, at = 0;
  while (at < text.size()) {
    const std::size_t from = at;
    if (is_space(detail::next_code_point(text, at))) continue;
    first = std::min(first, from);
    last = at;
  }
  return first < last ? text.substr(first, last - first) : std::string_view();
}

std::size_t code_points(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

}  // namespace palimpsest::data
