// UTF-8 text as code points, and the byte-level alphabet: a printable character for each of the 256 bytes, in which the
// vocabularies of byte-level BPE are written. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace palimpsest::model {

// A text's code points; point i is the bytes [starts[i], starts[i + 1]) of the text.
struct CodePoints {
  std::vector<char32_t> points;
  std::vector<std::size_t> starts;  // points.size() + 1 entries, the last is the text's size

  // The index of the code point that starts at byte `offset`, or points.size() for the text's end.
  std::size_t index_at(std::size_t offset) const;
};

// Throws Error(kInvalidArgument) naming line (from 1) and byte offset (from 0) of the first byte that is not UTF-8.
CodePoints decode_utf8(std::string_view text);

bool is_utf8(std::string_view text);
void append_utf8(std::string& out, char32_t point);
// `bytes` as text: every maximal ill-formed piece becomes one U+FFFD (Unicode 3.9, "substitution of maximal subparts").
std::string lossy_utf8(std::string_view bytes);

// The alphabet's character of a byte, as UTF-8 ("a" is itself, a space is U+0120).
std::string_view byte_character(std::uint8_t byte);
// `bytes` written in the alphabet.
std::string to_byte_characters(std::string_view bytes);
// The bytes that `text` writes, or nothing when a character of it does not belong to the alphabet.
std::optional<std::string> from_byte_characters(std::string_view text);

}  // namespace palimpsest::model
