// Sets of code points, and the reading of an Oniguruma pattern into them: what tokenizer_pattern compiles.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/tokenizer/unicode_table.hpp"

namespace palimpsest::model {

// Sorted ranges that neither touch nor overlap.
using CodePointSet = std::vector<CodePointRange>;

CodePointSet make_set(std::vector<CodePointRange> ranges);
CodePointSet complement(const CodePointSet& set);
bool contains(const CodePointSet& set, char32_t point);

// The code points of a general category ("Lu") or of a group of them ("L"); empty for a name that is neither.
CodePointSet category_set(std::string_view name);
const CodePointSet& white_space_set();
// Rust's char::is_numeric, which the Digits pre-tokenizer asks.
const CodePointSet& numeric_set();
// `\w` of Rust's regex crate, which `single_word` of added tokens asks: alphabetic, marks, decimal digits, connectors,
// joiners.
const CodePointSet& word_set();

// A piece of a pattern: one character out of a set, or syntax that PCRE2 reads as Oniguruma does ("(?:", "|", "{1,3}").
using PatternItem = std::variant<CodePointSet, std::string>;

// Throws Error(kUnsupported) naming the construct and its place, Error(kCorrupt) for what is no regular expression.
std::vector<PatternItem> parse_pattern(std::string_view pattern);

}  // namespace palimpsest::model
