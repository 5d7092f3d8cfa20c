// The Unicode facts that the normal form NFC rests on.
//
// unicode_nfc_table.cpp is generated (tests/support/make_nfc_table.py) and committed. Constant data; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace palimpsest::model {

// What the normalisers of tokenizers 0.23.3 follow: an older version than its patterns (unicode_table.hpp). Code points
// that are younger neither decompose nor reorder.
inline constexpr std::string_view kNfcUnicodeVersion = "9.0.0";

// One step of a canonical decomposition; `second` is 0 for a code point that stands for one other.
struct Decomposition {
  char32_t composed;
  char32_t first;
  char32_t second;
};

// Both ends included.
struct CombiningRun {
  char32_t first;
  char32_t last;
  std::uint8_t combining_class;
};

// Sorted by `composed`; the syllables of Hangul, which are computed, are not among them.
std::span<const Decomposition> composites();
// Sorted; what decomposes and is never composed again.
std::span<const Decomposition> excluded_decompositions();
// Sorted; classes other than 0.
std::span<const CombiningRun> combining_runs();

}  // namespace palimpsest::model
