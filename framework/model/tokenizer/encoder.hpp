// From a text to ids: added tokens, normaliser, pre-tokenizer and merges in turn, as a tokenizer.json describes them.
//
// Immutable after construction; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "model/tokenizer/added.hpp"
#include "model/tokenizer/aligned.hpp"
#include "model/tokenizer/bpe.hpp"
#include "model/tokenizer/json.hpp"
#include "model/tokenizer/normaliser.hpp"
#include "model/tokenizer/pattern.hpp"
#include "model/tokenizer/tokenizer.hpp"

namespace palimpsest::model {

class TextEncoder {
 public:
  // Throws Error naming a part of the description that contradicts itself.
  explicit TextEncoder(const TokenizerDescription& description);

  // Appends the tokens of `text`, which is UTF-8, otherwise Error(kInvalidArgument). With `continues` the text goes on
  // from another one, so that nothing is put before it (a space, a mark of one).
  void encode(std::string_view text, bool continues, Encoding& out) const;

  // A token of the vocabulary, by its text.
  std::optional<std::int32_t> token_id(std::string_view text) const { return bpe_.token_id(text); }
  // What the normaliser makes of a text.
  std::string normalised(std::string_view text) const { return normaliser_.apply(text); }

 private:
  struct Step {
    PreTokenizerStep description;
    std::unique_ptr<const SplitPattern> pattern;  // null: the step splits by no pattern
  };

  // `bare`: of a piece that begins the text, when nothing is to be put before it.
  void encode_normalised(const AlignedText& text, const PieceRange& range, bool bare, Encoding& out) const;
  void encode_pieces(const AlignedText& text, const PieceRange& range, bool bare, Encoding& out) const;
  void encode_byte_level(const AlignedText& text, const PieceRange& piece, bool bare, const Step& step,
                         Encoding& out) const;
  void encode_metaspace(const AlignedText& text, const PieceRange& piece, bool bare, const Step& step,
                        Encoding& out) const;
  void encode_word(const AlignedText& text, const PieceRange& word, bool has_prefix, Encoding& out) const;

  Normaliser normaliser_;
  AddedTokenMatcher added_;
  std::vector<Step> steps_;
  BytePairEncoder bpe_;
};

}  // namespace palimpsest::model
