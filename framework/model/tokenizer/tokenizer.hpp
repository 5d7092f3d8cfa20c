// Text to token ids and back, by a Hugging Face tokenizer.json with BPE: byte-level (GPT-2, GPT-J, Pythia, SmolLM2,
// Llama 3, Qwen) or over characters with byte fallback (Llama 2, Mistral). docs/tokenizers.md lists the components.
//
// Ids equal those of Hugging Face tokenizers 0.23.3; what a file asks for and this class does not offer is refused when
// the file is opened. Immutable and shared by pointer; any thread may call any method.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace palimpsest::model {

struct Encoding {
  std::vector<std::int64_t> ids;
  // By id: the bytes [first, second) of the text, as it was given, that the token stands for. A token may begin or end
  // inside a UTF-8 character, but where the normaliser changes characters it stands for all of those. Tokens that the
  // post-processor adds stand for (0, 0); a mark that is put before a text, as a token of its own, for nothing at its
  // place.
  std::vector<std::pair<std::size_t, std::size_t>> offsets;
};

class Tokenizer {
 public:
  // Opens `path`, a tokenizer.json or the folder that holds one, with tokenizer_config.json, special_tokens_map.json
  // and generation_config.json beside it where they are present. Throws Error naming the file and what is wrong with
  // it.
  static std::shared_ptr<const Tokenizer> open(const std::filesystem::path& path);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // `text` is UTF-8, otherwise Error(kInvalidArgument) names line and byte offset. `add_special_tokens` adds what the
  // post-processor puts around a text (a BOS for Llama 3, nothing for SmolLM2).
  Encoding encode(std::string_view text, bool add_special_tokens = false) const;
  // The text of `ids`; bytes that are not UTF-8 become U+FFFD. Ids without a token (an embedding's padding rows) give
  // nothing. Throws Error(kOutOfRange) for a negative id.
  std::string decode(std::span<const std::int64_t> ids, bool skip_special_tokens = false) const;

  // The text that `ids` add to a text before them: a leading space, which decode() takes off for Llama 2 and Mistral,
  // stays.
  std::string decode_continuation(std::span<const std::int64_t> ids, bool skip_special_tokens = false) const;

  // The one rule by which prompts and targets become tokens; `target_rule` says it in a sentence for the results file.
  // A prompt: what the post-processor puts before a text (BOS), then the text.
  Encoding encode_prompt(std::string_view text) const;
  // A target, to stand after a prompt: exactly one leading space, never BOS, and no second mark of a space where the
  // tokenizer puts one before a text; so that its ids are those that follow the prompt's in the ids of prompt, space
  // and target. Offsets count in `text` (the space has none). Throws Error(kInvalidArgument) for a target that is
  // empty, holds a special token or has characters that become the unknown token.
  Encoding encode_target(std::string_view text) const;
  std::string target_rule() const;
  // A text that goes on from another one as it stands: no space, no mark of one, no BOS before it. Its ids are the last
  // ones of the joined text's, where that is cut at the seam.
  Encoding encode_continuation(std::string_view text) const;
  // Of `encode_prompt(prompt)`, the index of the token that holds the last byte of the subject, which is the bytes
  // [subject_begin, subject_end) of the prompt. Throws Error(kInvalidArgument) for an empty subject or one outside the
  // prompt.
  std::size_t index_of_subject_last_token(std::string_view prompt, std::size_t subject_begin,
                                          std::size_t subject_end) const;

  // The largest id and one: the least number of rows of an embedding for this vocabulary.
  std::int64_t vocabulary_size() const;
  // By the token's text as tokenizer.json writes it (a vocabulary of byte-level BPE is in the byte-level alphabet).
  std::optional<std::int64_t> token_id(std::string_view text) const;
  // Throws Error(kOutOfRange) for an id that has no token.
  const std::string& token_text(std::int64_t id) const;
  // Sorted.
  const std::vector<std::int64_t>& special_ids() const;
  bool is_special(std::int64_t id) const;
  std::optional<std::int64_t> bos_id() const;
  std::optional<std::int64_t> eos_id() const;
  std::optional<std::int64_t> pad_id() const;
  // All ids that end a generated text: eos_id() first, then generation_config.json's.
  const std::vector<std::int64_t>& eos_ids() const;

  // Of the bytes of tokenizer.json, in hexadecimal.
  const std::string& sha256() const;
  const std::filesystem::path& path() const;

 private:
  struct Data;
  explicit Tokenizer(std::unique_ptr<const Data> data);
  std::unique_ptr<const Data> data_;
};

}  // namespace palimpsest::model
