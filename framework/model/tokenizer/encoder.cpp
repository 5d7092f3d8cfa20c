#include "model/tokenizer/encoder.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "model/tokenizer/classes.hpp"

namespace palimpsest::model {
namespace {

// What "ByteLevel" with use_regex splits by: GPT-2's pattern.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

void split_digits(std::span<const char32_t> points, const PieceRange& piece, bool individual,
                  std::vector<PieceRange>& out) {
  const auto digit = [&](std::size_t i) {
    const char32_t c = points[i];
    return c < 0x80 ? c >= U'0' && c <= U'9' : contains(numeric_set(), c);
  };
  for (std::size_t begin = piece.begin; begin < piece.end;) {
    const bool is_digit = digit(begin);
    std::size_t end = begin + 1;
    while (end < piece.end && digit(end) == is_digit && !(is_digit && individual)) ++end;
    out.push_back({begin, end});
    begin = end;
  }
}

void put(const Segment& segment, const ByteRange& source, Encoding& out) {
  out.ids.push_back(segment.id);
  out.offsets.push_back(source);
}

}  // namespace

TextEncoder::TextEncoder(const TokenizerDescription& description)
    : normaliser_(description.normaliser),
      added_(description.added, [this](std::string_view text) { return normaliser_.apply(text); }),
      bpe_(description.bpe) {
  for (const PreTokenizerStep& step : description.steps) {
    std::unique_ptr<const SplitPattern> pattern;
    if (step.kind == PreTokenizerStep::Kind::kSplit) {
      pattern = std::make_unique<SplitPattern>(step.pattern, step.literal);
    } else if (step.kind == PreTokenizerStep::Kind::kByteLevel && step.use_regex) {
      pattern = std::make_unique<SplitPattern>(kByteLevelPattern);
    }
    steps_.push_back({step, std::move(pattern)});
  }
}

void TextEncoder::encode(std::string_view text, bool continues, Encoding& out) const {
  const AlignedText given(text);
  thread_local std::vector<Segment> segments;
  segments.clear();
  added_.split_given(text, 0, segments);
  for (const Segment& segment : segments) {
    if (segment.id >= 0) {
      put(segment, {segment.begin, segment.end}, out);
      continue;
    }
    const PieceRange range{given.point_at(segment.begin), given.point_at(segment.end)};
    const bool bare = continues && segment.begin == 0;
    if (!normaliser_.changes(given.points(range), bare)) {
      encode_normalised(given, range, bare, out);
      continue;
    }
    AlignedPoints changed = given.copy(range);
    normaliser_.apply(changed, bare);
    const AlignedText normalised(changed, text);
    encode_normalised(normalised, {0, changed.points.size()}, bare, out);
  }
}

void TextEncoder::encode_normalised(const AlignedText& text, const PieceRange& range, bool bare, Encoding& out) const {
  if (range.begin == range.end) return;
  if (!added_.has_normalised()) {
    encode_pieces(text, range, bare, out);
    return;
  }
  thread_local std::vector<Segment> segments;
  segments.clear();
  added_.split_normalised(text.bytes(range), text.byte_of(range.begin), segments);
  for (const Segment& segment : segments) {
    if (segment.id >= 0) {
      put(segment, text.source_of(segment.begin, segment.end), out);
    } else {
      const PieceRange piece{text.point_at(segment.begin), text.point_at(segment.end)};
      encode_pieces(text, piece, bare && piece.begin == range.begin, out);
    }
  }
}

void TextEncoder::encode_pieces(const AlignedText& text, const PieceRange& range, bool bare, Encoding& out) const {
  thread_local std::vector<PieceRange> pieces, next;
  pieces.assign(1, range);
  const bool has_last = !steps_.empty() && steps_.back().description.is_last();
  for (std::size_t s = 0; s + (has_last ? 1 : 0) < steps_.size(); ++s) {
    const PreTokenizerStep& step = steps_[s].description;
    next.clear();
    for (const PieceRange& piece : pieces) {
      if (steps_[s].pattern != nullptr) {
        steps_[s].pattern->split(text.points(piece), piece.begin, step.behaviour, step.invert, next);
      } else {
        split_digits(text.points(), piece, step.individual_digits, next);
      }
    }
    pieces.swap(next);
  }
  for (const PieceRange& piece : pieces) {
    const bool piece_bare = bare && piece.begin == range.begin;
    if (!has_last) {
      encode_word(text, piece, false, out);
    } else if (steps_.back().description.kind == PreTokenizerStep::Kind::kByteLevel) {
      encode_byte_level(text, piece, piece_bare, steps_.back(), out);
    } else {
      encode_metaspace(text, piece, piece_bare, steps_.back(), out);
    }
  }
}

void TextEncoder::encode_byte_level(const AlignedText& text, const PieceRange& piece, bool bare, const Step& step,
                                    Encoding& out) const {
  const auto range = text.points(piece);
  const bool prefix = step.description.add_prefix_space && range.front() != U' ' && !bare;
  thread_local std::vector<PieceRange> words;
  words.clear();
  if (step.pattern == nullptr) {
    words.push_back({0, range.size() + (prefix ? 1 : 0)});
  } else if (prefix) {
    std::vector<char32_t> prefixed(1, U' ');
    prefixed.insert(prefixed.end(), range.begin(), range.end());
    step.pattern->split(prefixed, 0, words);
  } else {
    step.pattern->split(range, 0, words);
  }
  const std::size_t shift = prefix ? 1 : 0;
  for (const PieceRange& word : words) {
    const bool has_prefix = prefix && word.begin == 0;
    encode_word(text, {piece.begin + (has_prefix ? 0 : word.begin - shift), piece.begin + word.end - shift}, has_prefix,
                out);
  }
}

void TextEncoder::encode_metaspace(const AlignedText& text, const PieceRange& piece, bool bare, const Step& step,
                                   Encoding& out) const {
  const PreTokenizerStep& description = step.description;
  AlignedPoints marked = text.copy(piece);
  std::replace(marked.points.begin(), marked.points.end(), U' ', description.mark);
  const bool wants_prefix = description.scheme == PrependScheme::kAlways ||
                            (description.scheme == PrependScheme::kFirst && marked.sources.front().first == 0);
  if (wants_prefix && !bare && marked.points.front() != description.mark) {
    prepend(marked, std::span(&description.mark, 1));
  }
  const AlignedText changed(marked, text.given());
  if (!description.split_at_marks) {
    encode_word(changed, {0, marked.points.size()}, false, out);
    return;
  }
  for (std::size_t begin = 0; begin < marked.points.size();) {
    const auto next = std::find(marked.points.begin() + static_cast<std::ptrdiff_t>(begin) + 1, marked.points.end(),
                                description.mark);
    const auto end = static_cast<std::size_t>(next - marked.points.begin());
    encode_word(changed, {begin, end}, false, out);
    begin = end;
  }
}

// With `has_prefix` the word has a space before it that the text does not have.
void TextEncoder::encode_word(const AlignedText& text, const PieceRange& word, bool has_prefix, Encoding& out) const {
  thread_local std::vector<WordToken> tokens;
  tokens.clear();
  const std::string_view bytes = text.bytes(word);
  if (has_prefix) {
    bpe_.encode(cat(' ', bytes), tokens);
  } else {
    bpe_.encode(bytes, tokens);
  }
  const std::size_t offset = text.byte_of(word.begin);
  const std::size_t added = has_prefix ? 1 : 0;
  for (const WordToken& token : tokens) {
    out.ids.push_back(token.id);
    out.offsets.push_back(text.source_of(offset + token.begin - std::min<std::size_t>(token.begin, added),
                                         offset + token.end - std::min<std::size_t>(token.end, added)));
  }
}

}  // namespace palimpsest::model
