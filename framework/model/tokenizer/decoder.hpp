// The decoder of a tokenizer: the texts of tokens, as the vocabulary writes them, to the text that they stand for.
//
// Immutable after construction; any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "model/tokenizer/normaliser.hpp"

namespace palimpsest::model {

// Each step works on the pieces of the one before.
struct DecoderStep {
  enum class Kind {
    kByteLevel,     // the alphabet's characters to bytes, all in one piece
    kReplace,       // in each piece
    kByteFallback,  // <0x41> and its like to bytes; those of a run that is no UTF-8 to a U+FFFD each
    kFuse,          // all pieces to one
    kStrip,         // up to `start` and `stop` characters `character` off the ends of each piece
    kMetaspace      // `character` to a space, in the first piece to nothing unless `keep_first`
  };
  Kind kind = Kind::kByteLevel;
  ReplaceDescription replace;
  char32_t character = U' ';
  std::size_t start = 0;
  std::size_t stop = 0;
  bool keep_first = false;
};

class Decoder {
 public:
  explicit Decoder(const std::vector<DecoderStep>& steps);

  // What only maps bytes, so that every token has bytes of its own.
  bool is_byte_level() const {
    return steps_.size() == 1 && steps_[0].description.kind == DecoderStep::Kind::kByteLevel;
  }

  // `pieces` are the tokens' texts, well-formed UTF-8 as the result is. With `continues` they stand after other tokens,
  // so that nothing is taken off their beginning.
  std::string decode(std::vector<std::string> pieces, bool continues) const;

 private:
  struct Step {
    DecoderStep description;
    std::unique_ptr<const Replacer> replacer;  // of a regular expression
  };
  std::vector<Step> steps_;
};

}  // namespace palimpsest::model
