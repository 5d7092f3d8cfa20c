#include "model/tokenizer/aligned.hpp"

#include <algorithm>

namespace palimpsest::model {

AlignedText::AlignedText(std::string_view text) : given_(text), bytes_(text), points_(decode_utf8(text)) {}

AlignedText::AlignedText(const AlignedPoints& changed, std::string_view given)
    : given_(given), sources_(changed.sources) {
  points_.points = changed.points;
  points_.starts.reserve(changed.points.size() + 1);
  for (const char32_t point : changed.points) {
    points_.starts.push_back(owned_.size());
    append_utf8(owned_, point);
  }
  points_.starts.push_back(owned_.size());
  bytes_ = owned_;
}

ByteRange AlignedText::source_of_point(std::size_t point) const {
  return sources_.empty() ? ByteRange{points_.starts[point], points_.starts[point + 1]} : sources_[point];
}

std::size_t AlignedText::point_over(std::size_t byte) const {
  const auto after = std::upper_bound(points_.starts.begin(), points_.starts.end(), byte);
  return static_cast<std::size_t>(after - points_.starts.begin()) - 1;
}

ByteRange AlignedText::source_of_changed(std::size_t begin, std::size_t end) const {
  if (begin == end) {  // a prefix that stands for nothing
    const std::size_t at = sources_[std::min(point_over(begin), sources_.size() - 1)].first;
    return {at, at};
  }
  const std::size_t first = point_over(begin);
  const std::size_t last = point_over(end - 1);
  return {sources_[first].first + (is_unchanged(first) ? begin - points_.starts[first] : 0),
          sources_[last].second - (is_unchanged(last) ? points_.starts[last + 1] - end : 0)};
}

bool AlignedText::is_unchanged(std::size_t point) const {
  const auto& [begin, end] = sources_[point];
  return given_.substr(begin, end - begin) == bytes({point, point + 1});
}

AlignedPoints AlignedText::copy(const PieceRange& range) const {
  AlignedPoints out;
  out.points.assign(points(range).begin(), points(range).end());
  out.sources.reserve(out.points.size());
  for (std::size_t point = range.begin; point < range.end; ++point) out.sources.push_back(source_of_point(point));
  return out;
}

}  // namespace palimpsest::model
