// The committed tokenizers and changed copies of them, for the tests of this folder.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "model/tokenizer/tokenizer.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::model {

// tests/tokenizer/data
std::filesystem::path data_folder();
// "tokenizer.json", byte-level BPE, or "characters.json", BPE over characters in Llama 2's manner.
nlohmann::json base_document(const char* name = "tokenizer.json");

// Opens `document` as a tokenizer.json.
std::shared_ptr<const Tokenizer> open_document(const nlohmann::json& document);

// The message of the Error that `action` throws, with its code before it ("kCorrupt's name: sentence"); fails the test
// and gives "" when it throws none.
std::string error_of(const std::function<void()>& action);

}  // namespace palimpsest::model
