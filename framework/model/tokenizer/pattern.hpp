// A pre-tokenizer's regular expression, run by PCRE2 over symbols in place of characters.
//
// The classes of the pattern (`\p{L}`, `[^\s\p{N}]`, a literal) cut the code points into a few dozen groups that no
// class tells apart. Each group gets one byte, the text is mapped to these bytes, and PCRE2 compiles the pattern over
// bytes. So PCRE2's own Unicode tables play no part (ours is unicode_table.hpp), and a class costs one bitmap look-up,
// not a search through its ranges. The syntax read is Oniguruma's, as far as tokenizers use it; what means something
// else in PCRE2, or is not known here, is refused by name. Immutable after construction, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace palimpsest::model {

// Half open, in code points.
struct PieceRange {
  std::size_t begin;
  std::size_t end;
  bool operator==(const PieceRange&) const = default;
};

struct MatchedRange {
  PieceRange range;
  bool is_match;
};

// What becomes of the matches ("delimiters") of a "Split": as Hugging Face tokenizers name them.
enum class SplitBehaviour { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

class SplitPattern {
 public:
  // A regular expression, or with `literal` a text to be found as it stands. Throws Error(kUnsupported) naming the
  // construct and its place, Error(kCorrupt) for an expression that is none.
  explicit SplitPattern(std::string_view pattern, bool literal = false);
  ~SplitPattern();
  SplitPattern(const SplitPattern&) = delete;
  SplitPattern& operator=(const SplitPattern&) = delete;

  // Cuts `points` at the matches' ends; what lies between matches stays, as pieces of its own ("Isolated"). Appends to
  // `out`, with `base` added to the positions. Lookaround sees `points` only.
  void split(std::span<const char32_t> points, std::size_t base, std::vector<PieceRange>& out) const;
  // The same by another behaviour. `invert` exchanges the matches and what lies between them.
  void split(std::span<const char32_t> points, std::size_t base, SplitBehaviour behaviour, bool invert,
             std::vector<PieceRange>& out) const;
  // The matches and what lies between them, in order.
  void find(std::span<const char32_t> points, std::vector<MatchedRange>& out) const;

 private:
  std::uint8_t symbol(char32_t point) const { return blocks_[block_of_[point >> 8]][point & 0xFF]; }

  template <typename Take>
  void each_piece(std::span<const char32_t> points, Take&& take) const;

  struct Code;
  std::unique_ptr<Code> code_;
  std::vector<std::uint16_t> block_of_;
  std::vector<std::array<std::uint8_t, 256>> blocks_;
};

}  // namespace palimpsest::model
