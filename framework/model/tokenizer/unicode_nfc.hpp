// The Unicode normal form NFC: canonical decomposition, canonical order, composition.
//
// A text is cut where a code point neither combines with what stands before it nor is changed by it; the pieces between
// such places are normalised each for itself, so that a caller knows which part of a text became which. Immutable and
// shared; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace palimpsest::model {

class Nfc {
 public:
  // The one instance, built when first asked for.
  static const Nfc& instance();

  // The index of the first code point that may not stay as it is, or `points.size()`.
  std::size_t first_to_look_at(std::span<const char32_t> points) const;
  // The end of the piece that begins at `begin`, which is 0 or the end of a piece.
  std::size_t piece_end(std::span<const char32_t> points, std::size_t begin) const;
  // Of a piece.
  std::vector<char32_t> normalise(std::span<const char32_t> piece) const;

 private:
  enum class Kind : std::uint8_t {
    kInert,      // begins a piece, and alone stays as it is
    kChanging,   // begins a piece, and alone becomes something else
    kDependent,  // may combine or change places with what stands before it
  };

  Nfc();
  Kind kind(char32_t point) const { return blocks_[block_of_[point >> 8]][point & 0xFF]; }
  void decompose(char32_t point, std::vector<char32_t>& out) const;
  std::uint8_t combining_class(char32_t point) const;
  // 0 where the two make no composite.
  char32_t compose(char32_t first, char32_t second) const;

  std::unordered_map<char32_t, std::pair<char32_t, char32_t>> parts_;
  std::unordered_map<std::uint64_t, char32_t> composites_;
  std::vector<std::uint16_t> block_of_;
  std::vector<std::array<Kind, 256>> blocks_;
};

}  // namespace palimpsest::model
