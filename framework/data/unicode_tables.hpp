// The generated Unicode tables behind data/text.hpp; nothing else reads them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace palimpsest::data::unicode {

struct CodeRange {
  std::uint32_t first, last;  // both included
};

// What a code point above ASCII folds to, in UTF-8, zero-terminated.
struct Fold {
  std::uint32_t from;
  char to[12];
};

extern const CodeRange kWordRanges[];  // letters, marks and numbers, ascending
extern const std::size_t kWordRangeCount;
extern const Fold kFolds[];  // ascending by `from`
extern const std::size_t kFoldCount;

}  // namespace palimpsest::data::unicode
