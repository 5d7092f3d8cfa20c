// One step of the UTF-8 decoder, as Unicode's table 3-7 has it. Everything of ours that reads UTF-8 takes these steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace palimpsest {

struct Utf8Step {
  char32_t point;    // valid when ok
  std::size_t size;  // bytes taken: the character, or the maximal ill-formed piece
  bool ok;           // overlong forms, surrogates and code points above U+10FFFF are not
};

// `at` is below the text's size.
inline Utf8Step utf8_step(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(at);
  if (lead < 0x80) return {lead, 1, true};
  std::size_t size = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  char32_t point = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
    point = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3;
    point = lead & 0x0Fu;
    if (lead == 0xE0) low = 0xA0;   // shorter forms exist
    if (lead == 0xED) high = 0x9F;  // surrogates
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    point = lead & 0x07u;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;  // above U+10FFFF
  } else {
    return {0, 1, false};
  }
  for (std::size_t i = 1; i < size; ++i) {
    if (at + i == text.size() || byte(at + i) < low || byte(at + i) > high) return {0, i, false};
    point = (point << 6) | (byte(at + i) & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return {point, size, true};
}

}  // namespace palimpsest
