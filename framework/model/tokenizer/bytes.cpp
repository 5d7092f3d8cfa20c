#include "model/tokenizer/bytes.hpp"

#include <algorithm>
#include <array>
#include <iomanip>

#include "base/error.hpp"
#include "base/utf8.hpp"

namespace palimpsest::model {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// The alphabet: printable bytes of Latin-1 stand for themselves, the others take U+0100, U+0101, ... in their order.
struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<int, 0x144> bytes{};  // by code point; -1: not in the alphabet

  Alphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
      const char32_t point = printable ? static_cast<char32_t>(b) : next++;
      append_utf8(characters[static_cast<std::size_t>(b)], point);
      bytes[point] = b;
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

std::size_t CodePoints::index_at(std::size_t offset) const {
  return static_cast<std::size_t>(std::lower_bound(starts.begin(), starts.end(), offset) - starts.begin());
}

CodePoints decode_utf8(std::string_view text) {
  CodePoints out;
  out.points.reserve(text.size());
  out.starts.reserve(text.size() + 1);
  for (std::size_t at = 0; at < text.size();) {
    if (const auto byte = static_cast<std::uint8_t>(text[at]); byte < 0x80) {
      out.points.push_back(byte);
      out.starts.push_back(at++);
      continue;
    }
    const Utf8Step step = utf8_step(text, at);
    if (!step.ok) {
      const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
      std::ostringstream found;
      for (std::size_t i = 0; i < step.size; ++i) {
        found << (i == 0 ? "0x" : " 0x") << std::hex << std::uppercase << std::setw(2) << std::setfill('0')
              << static_cast<int>(static_cast<std::uint8_t>(text[at + i]));
      }
      fail(ErrorCode::kInvalidArgument, "the text is not UTF-8: line ", line, ", byte offset ", at, ": ", found.str(),
           at + step.size == text.size() ? " at the end of the text" : "", "; convert the text to UTF-8 first");
    }
    out.points.push_back(step.point);
    out.starts.push_back(at);
    at += step.size;
  }
  out.starts.push_back(text.size());
  return out;
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (!step.ok) return false;
    at += step.size;
  }
  return true;
}

void append_utf8(std::string& out, char32_t point) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(static_cast<std::uint8_t>(byte))); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | (point >> 6));
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | (point >> 12));
    put(0x80 | ((point >> 6) & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | (point >> 18));
    put(0x80 | ((point >> 12) & 0x3F));
    put(0x80 | ((point >> 6) & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

std::string lossy_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8Step step = utf8_step(bytes, at);
    if (step.ok) {
      out.append(bytes.substr(at, step.size));
    } else {
      append_utf8(out, kReplacement);
    }
    at += step.size;
  }
  return out;
}

std::string_view byte_character(std::uint8_t byte) { return alphabet().characters[byte]; }

std::string to_byte_characters(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) out += byte_character(static_cast<std::uint8_t>(byte));
  return out;
}

std::optional<std::string> from_byte_characters(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (!step.ok || step.point >= alphabet().bytes.size() || alphabet().bytes[step.point] < 0) return std::nullopt;
    out.push_back(static_cast<char>(static_cast<std::uint8_t>(alphabet().bytes[step.point])));
    at += step.size;
  }
  return out;
}

}  // namespace palimpsest::model
