// Text whose characters may have been changed, each with the bytes of the caller's text that it stands for: what lets
// every token name its place in the text as it was given.
//
// A plain value; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/tokenizer/bytes.hpp"
#include "model/tokenizer/pattern.hpp"

namespace palimpsest::model {

using ByteRange = std::pair<std::size_t, std::size_t>;

// Points under change.
struct AlignedPoints {
  std::vector<char32_t> points;
  std::vector<ByteRange> sources;  // by point; (b, b) for one that was put before byte b

  void add(char32_t point, ByteRange source) {
    points.push_back(point);
    sources.push_back(source);
  }
  bool empty() const { return points.empty(); }
};

// A text as a stage of the tokenizer reads it: UTF-8, its points, and where they come from.
class AlignedText {
 public:
  // The caller's text itself; it outlives this object.
  explicit AlignedText(std::string_view text);
  // A changed text, and the caller's, which outlives this object too.
  AlignedText(const AlignedPoints& changed, std::string_view given);
  AlignedText(const AlignedText&) = delete;
  AlignedText& operator=(const AlignedText&) = delete;
  ~AlignedText() = default;

  std::string_view bytes() const { return bytes_; }
  std::string_view given() const { return given_; }
  // Of all points, or of some.
  std::span<const char32_t> points() const { return points_.points; }
  std::span<const char32_t> points(const PieceRange& range) const {
    return points().subspan(range.begin, range.end - range.begin);
  }
  std::string_view bytes(const PieceRange& range) const {
    return bytes_.substr(points_.starts[range.begin], points_.starts[range.end] - points_.starts[range.begin]);
  }
  // Where a point begins in bytes(), and the reverse.
  std::size_t byte_of(std::size_t point) const { return points_.starts[point]; }
  std::size_t point_at(std::size_t byte) const { return points_.index_at(byte); }

  // The bytes of the caller's text that a point, or the bytes [begin, end) of bytes(), stand for. A character that was
  // not changed is cut where its bytes are cut; a changed one stands for its source as a whole.
  ByteRange source_of_point(std::size_t point) const;
  ByteRange source_of(std::size_t begin, std::size_t end) const {
    return sources_.empty() ? ByteRange{begin, end} : source_of_changed(begin, end);
  }
  // The points of a range, to be changed.
  AlignedPoints copy(const PieceRange& range) const;

 private:
  ByteRange source_of_changed(std::size_t begin, std::size_t end) const;
  std::size_t point_over(std::size_t byte) const;
  bool is_unchanged(std::size_t point) const;

  std::string_view given_;
  std::string owned_;
  std::string_view bytes_;
  CodePoints points_;
  std::vector<ByteRange> sources_;  // empty: the caller's text itself
};

}  // namespace palimpsest::model
