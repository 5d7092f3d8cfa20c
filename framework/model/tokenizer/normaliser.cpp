#include "model/tokenizer/normaliser.hpp"

#include <algorithm>

#include "model/tokenizer/unicode_nfc.hpp"

namespace palimpsest::model {
namespace {

void apply_nfc(AlignedPoints& text) {
  const Nfc& nfc = Nfc::instance();
  const std::span<const char32_t> points(text.points);
  std::size_t at = nfc.first_to_look_at(points);
  if (at == points.size()) return;
  if (at > 0) --at;  // what is looked at may combine with the point before it
  AlignedPoints out;
  out.points.assign(points.begin(), points.begin() + static_cast<std::ptrdiff_t>(at));
  out.sources.assign(text.sources.begin(), text.sources.begin() + static_cast<std::ptrdiff_t>(at));
  while (at < points.size()) {
    const std::size_t end = nfc.piece_end(points, at);
    const auto piece = points.subspan(at, end - at);
    const std::vector<char32_t> normal = nfc.normalise(piece);
    const bool same = std::equal(normal.begin(), normal.end(), piece.begin(), piece.end());
    for (std::size_t i = 0; i < normal.size(); ++i) {
      out.add(normal[i], same ? text.sources[at + i] : ByteRange{text.sources[at].first, text.sources[end - 1].second});
    }
    at = end;
  }
  text = std::move(out);
}

}  // namespace

Replacer::Replacer(const ReplaceDescription& description) : content_(decode_utf8(description.content).points) {
  if (description.literal) {
    literal_ = decode_utf8(description.pattern).points;
  } else {
    pattern_ = std::make_unique<const SplitPattern>(description.pattern);
  }
}

bool Replacer::changes(std::span<const char32_t> points) const {
  if (pattern_ == nullptr) {
    return std::search(points.begin(), points.end(), literal_.begin(), literal_.end()) != points.end();
  }
  std::vector<MatchedRange> pieces;
  pattern_->find(points, pieces);
  return std::any_of(pieces.begin(), pieces.end(), [](const MatchedRange& piece) { return piece.is_match; });
}

void Replacer::apply(AlignedPoints& text) const {
  AlignedPoints out;
  out.points.reserve(text.points.size());
  out.sources.reserve(text.points.size());
  const auto keep = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) out.add(text.points[i], text.sources[i]);
  };
  const auto replace = [&](std::size_t begin, std::size_t end) {
    for (const char32_t c : content_) out.add(c, {text.sources[begin].first, text.sources[end - 1].second});
  };
  if (pattern_ != nullptr) {
    std::vector<MatchedRange> pieces;
    pattern_->find(text.points, pieces);
    for (const MatchedRange& piece : pieces) {
      piece.is_match ? replace(piece.range.begin, piece.range.end) : keep(piece.range.begin, piece.range.end);
    }
  } else {
    std::size_t done = 0;
    while (true) {
      const auto found = std::search(text.points.begin() + static_cast<std::ptrdiff_t>(done), text.points.end(),
                                     literal_.begin(), literal_.end());
      const auto at = static_cast<std::size_t>(found - text.points.begin());
      keep(done, at);
      if (at == text.points.size()) break;
      replace(at, at + literal_.size());
      done = at + literal_.size();
    }
  }
  text = std::move(out);
}

void prepend(AlignedPoints& text, std::span<const char32_t> content) {
  if (text.empty()) return;
  const std::size_t at = text.sources.front().first;
  text.points.insert(text.points.begin(), content.begin(), content.end());
  text.sources.insert(text.sources.begin(), content.size(), {at, at});
}

Normaliser::Normaliser(const std::vector<NormaliserStep>& steps) {
  for (const NormaliserStep& step : steps) {
    Step& made = steps_.emplace_back();
    made.kind = step.kind;
    if (step.kind == NormaliserStep::Kind::kPrepend) made.prepend = decode_utf8(step.prepend).points;
    if (step.kind == NormaliserStep::Kind::kReplace) made.replacer = std::make_unique<const Replacer>(step.replace);
  }
}

bool Normaliser::changes(std::span<const char32_t> points, bool bare) const {
  return !points.empty() && std::any_of(steps_.begin(), steps_.end(), [&](const Step& step) {
    switch (step.kind) {
      case NormaliserStep::Kind::kNfc: return Nfc::instance().first_to_look_at(points) != points.size();
      case NormaliserStep::Kind::kPrepend: return !bare;
      case NormaliserStep::Kind::kReplace: return step.replacer->changes(points);
    }
    return true;
  });
}

void Normaliser::apply(AlignedPoints& text, bool bare) const {
  for (const Step& step : steps_) {
    switch (step.kind) {
      case NormaliserStep::Kind::kNfc: apply_nfc(text); break;
      case NormaliserStep::Kind::kPrepend:
        if (!bare) prepend(text, step.prepend);
        break;
      case NormaliserStep::Kind::kReplace: step.replacer->apply(text); break;
    }
  }
}

std::string Normaliser::apply(std::string_view text) const {
  const AlignedText whole(text);
  AlignedPoints points = whole.copy({0, whole.points().size()});
  apply(points, false);
  return std::string(AlignedText(points, text).bytes());
}

}  // namespace palimpsest::model
