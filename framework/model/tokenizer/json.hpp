// What a tokenizer.json says, read once and checked in full: what is not known here is refused by name, never passed
// over, because a step that is left out changes ids silently.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/added.hpp"
#include "model/tokenizer/bpe.hpp"
#include "model/tokenizer/decoder.hpp"
#include "model/tokenizer/normaliser.hpp"
#include "model/tokenizer/pattern.hpp"

namespace palimpsest::model {

// Where "Metaspace" puts its mark before a text.
enum class PrependScheme { kAlways, kFirst, kNever };

// One step of the pre-tokenizer, each working on the pieces of the one before.
struct PreTokenizerStep {
  enum class Kind { kDigits, kSplit, kByteLevel, kMetaspace };
  Kind kind = Kind::kByteLevel;
  bool individual_digits = false;                        // kDigits: every digit alone, or runs of them
  std::string pattern;                                   // kSplit: what `SplitPattern` takes
  bool literal = false;                                  // kSplit
  SplitBehaviour behaviour = SplitBehaviour::kIsolated;  // kSplit
  bool invert = false;                                   // kSplit
  bool add_prefix_space = false;                         // kByteLevel
  bool use_regex = true;                                 // kByteLevel: split by GPT-2's pattern
  char32_t mark = 0x2581;                                // kMetaspace: what stands for a space
  PrependScheme scheme = PrependScheme::kAlways;         // kMetaspace
  bool split_at_marks = true;                            // kMetaspace

  // What changes the text itself, so that nothing may follow.
  bool is_last() const { return kind == Kind::kByteLevel || kind == Kind::kMetaspace; }
};

struct TokenizerDescription {
  BpeDescription bpe;
  std::vector<AddedToken> added;
  std::vector<NormaliserStep> normaliser;
  std::vector<PreTokenizerStep> steps;  // the last one is the only one of kByteLevel and kMetaspace
  std::vector<DecoderStep> decoder;
  std::vector<std::int32_t> prefix_ids;  // what the post-processor puts before a text
  std::vector<std::int32_t> suffix_ids;  // and after it
};

// Throws Error naming `file` and the key: kCorrupt for what is no tokenizer.json (with the byte where JSON ends),
// kUnsupported for a model, component, option or value that is not offered.
TokenizerDescription parse_tokenizer_json(std::string_view text, const std::filesystem::path& file);

// The texts and ids of special tokens in the files beside tokenizer.json; absent files and keys are empty.
struct SpecialTokenNames {
  std::optional<std::string> bos;
  std::optional<std::string> eos;
  std::optional<std::string> pad;
  std::optional<std::int64_t> bos_id;
  std::vector<std::int64_t> eos_ids;
  std::optional<std::int64_t> pad_id;
};

// Texts from tokenizer_config.json, else special_tokens_map.json; ids from generation_config.json. Throws
// Error(kCorrupt) naming file and key.
SpecialTokenNames read_special_token_names(const std::filesystem::path& folder);

}  // namespace palimpsest::model
