// Where facts meet a tokenizer. The rest of this module knows texts only.
#pragma once

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

}  // namespace palimpsest::data
