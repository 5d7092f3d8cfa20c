#include "model/tokenizer/decoder.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "model/tokenizer/bytes.hpp"

namespace palimpsest::model {
namespace {

using Pieces = std::vector<std::string>;

std::string joined(const Pieces& pieces) {
  std::string out;
  for (const std::string& piece : pieces) out += piece;
  return out;
}

std::string byte_level(const Pieces& pieces) {
  std::string bytes;
  for (const std::string& piece : pieces) bytes += from_byte_characters(piece).value_or(piece);
  return lossy_utf8(bytes);
}

std::string replaced(std::string_view piece, const Replacer& replacer) {
  const AlignedText text(piece);
  AlignedPoints points = text.copy({0, text.points().size()});
  replacer.apply(points);
  return std::string(AlignedText(points, piece).bytes());
}

// The byte of "<0x41>".
std::optional<char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if ((c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f')) {
      value = value * 16 + ((c | 0x20) - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return static_cast<char>(static_cast<std::uint8_t>(value));
}

Pieces without_fallback(Pieces pieces) {
  Pieces out;
  std::string run;
  const auto put_run = [&] {
    if (run.empty()) return;
    if (is_utf8(run)) {
      out.push_back(run);
    } else {
      for (std::size_t i = 0; i < run.size(); ++i) out.emplace_back("\uFFFD");
    }
    run.clear();
  };
  for (std::string& piece : pieces) {
    if (const auto byte = fallback_byte(piece)) {
      run.push_back(*byte);
      continue;
    }
    put_run();
    out.push_back(std::move(piece));
  }
  put_run();
  return out;
}

std::string stripped(std::string_view piece, std::string_view character, std::size_t start, std::size_t stop) {
  while (start > 0 && piece.starts_with(character)) {
    piece.remove_prefix(character.size());
    --start;
  }
  while (stop > 0 && piece.ends_with(character)) {
    piece.remove_suffix(character.size());
    --stop;
  }
  return std::string(piece);
}

std::string with_each(std::string_view piece, std::string_view character, std::string_view instead) {
  std::string out;
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t found = std::min(piece.find(character, at), piece.size());
    out += piece.substr(at, found - at);
    if (found < piece.size()) out += instead;
    at = found + character.size();
  }
  return out;
}

std::string written(char32_t point) {
  std::string out;
  append_utf8(out, point);
  return out;
}

}  // namespace

Decoder::Decoder(const std::vector<DecoderStep>& steps) {
  for (const DecoderStep& step : steps) {
    const bool by_regex = step.kind == DecoderStep::Kind::kReplace && !step.replace.literal;
    steps_.push_back({step, by_regex ? std::make_unique<const Replacer>(step.replace) : nullptr});
  }
}

std::string Decoder::decode(std::vector<std::string> pieces, bool continues) const {
  for (const Step& step : steps_) {
    const DecoderStep& d = step.description;
    switch (d.kind) {
      case DecoderStep::Kind::kByteLevel: pieces = {byte_level(pieces)}; break;
      case DecoderStep::Kind::kFuse: pieces = {joined(pieces)}; break;
      case DecoderStep::Kind::kByteFallback: pieces = without_fallback(std::move(pieces)); break;
      case DecoderStep::Kind::kReplace:
        for (std::string& piece : pieces) {
          piece =
              step.replacer ? replaced(piece, *step.replacer) : with_each(piece, d.replace.pattern, d.replace.content);
        }
        break;
      case DecoderStep::Kind::kStrip:
        for (std::size_t i = 0; i < pieces.size(); ++i) {
          pieces[i] = stripped(pieces[i], written(d.character), continues && i == 0 ? 0 : d.start, d.stop);
        }
        break;
      case DecoderStep::Kind::kMetaspace:
        for (std::size_t i = 0; i < pieces.size(); ++i) {
          const bool dropped = i == 0 && !d.keep_first && !continues;
          pieces[i] = with_each(pieces[i], written(d.character), dropped ? "" : " ");
        }
        break;
    }
  }
  return joined(pieces);
}

}  // namespace palimpsest::model
