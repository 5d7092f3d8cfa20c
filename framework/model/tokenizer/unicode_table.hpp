// The Unicode facts that tokenizer patterns rest on: general categories, white space, numbers.
//
// unicode_table.cpp is generated (tests/support/make_unicode_table.py) and committed, because the system's PCRE2 knows
// another Unicode version than the Hugging Face tokenizers that ids must equal. Constant data; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace palimpsest::model {

// What `\p{..}` and `\s` in a pattern follow, and what the Digits pre-tokenizer follows, in tokenizers 0.23.3:
// Oniguruma's tables and Rust's standard library's. Checked on every code point by
// tests/tokenizer/compare_with_huggingface.py.
inline constexpr std::string_view kUnicodeVersion = "16.0.0";
inline constexpr std::string_view kNumericUnicodeVersion = "17.0.0";

inline constexpr char32_t kCodePoints = 0x110000;

// The general categories, under the two letters that the Unicode character database gives them.
enum class Category : std::uint8_t {
  Lu,
  Ll,
  Lt,
  Lm,
  Lo,
  Mn,
  Mc,
  Me,
  Nd,
  Nl,
  No,
  Pc,
  Pd,
  Ps,
  Pe,
  Pi,
  Pf,
  Po,
  Sm,
  Sc,
  Sk,
  So,
  Zs,
  Zl,
  Zp,
  Cc,
  Cf,
  Cs,
  Co,
  Cn
};

// All code points from `first` to the next run's first have `category`.
struct CategoryRun {
  char32_t first;
  Category category;
};

// Both ends included.
struct CodePointRange {
  char32_t first;
  char32_t last;
  bool operator==(const CodePointRange&) const = default;
};

// Sorted; the first run starts at 0, the last one ends at 0x10FFFF.
std::span<const CategoryRun> category_runs();
// White_Space, sorted.
std::span<const CodePointRange> white_space();
// Categories N* of kNumericUnicodeVersion that kUnicodeVersion does not have, sorted.
std::span<const CodePointRange> newer_numbers();

}  // namespace palimpsest::model
