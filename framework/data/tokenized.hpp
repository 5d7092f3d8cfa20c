// Where facts and documents meet a tokenizer. The rest of this room knows texts only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/fact.hpp"
#include "model/tokenizer/tokenizer.hpp"

namespace palimpsest::data {

// The texts of the tokenizer's special tokens, for FactOptions::special_tokens.
std::vector<std::string> special_token_texts(const model::Tokenizer& tokenizer);

// One sentence `file:line: ...` for each fact whose own prompt, or teach probe, puts the subject's last token at
// position 0. Position 0 is an attention sink: keys there are nearly the same for all prompts, and an edit there
// changes all of them.
std::vector<std::string> position_zero_warnings(std::span<const Fact> facts, const model::Tokenizer& tokenizer,
                                                std::string_view file);

// Token ids of each document, without BOS or EOS: pack() places separators. Throws Error(kInvalidArgument) naming the
// document when a text is not UTF-8.
std::vector<std::vector<std::int64_t>> encode_documents(std::span<const std::string_view> documents,
                                                        const model::Tokenizer& tokenizer);

}  // namespace palimpsest::data
