// The steps around the model of a tokenizer.json: normalizer, pre-tokenizer, decoder, post-processor, each read and
// checked in full.
//
// Each function appends what its part of the document says, or throws Error as parse_tokenizer_json does. Inside the
// tokenizer's JSON reader only.
#pragma once

#include <vector>

#include "model/tokenizer/json.hpp"
#include "model/tokenizer/json_node.hpp"

namespace palimpsest::model {

void read_normalizer(const JsonNode& node, std::vector<NormaliserStep>& out);
void read_pre_tokenizer(const JsonNode& node, std::vector<PreTokenizerStep>& out);
void read_decoder(const JsonNode& node, std::vector<DecoderStep>& out);
// `has_template`: whether one was met; false for the first call.
void read_post_processor(const JsonNode& node, TokenizerDescription& out, bool& has_template);

}  // namespace palimpsest::model
