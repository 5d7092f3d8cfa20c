// JSON as the files of a model's weights hold it: checked for what nlohmann lets pass, with messages that name the
// place.
//
// `where` is the file, or a part of it, in every message. Safe from any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace palimpsest::model {

// The object that `text` is. Throws Error(kCorrupt) for anything that is no JSON object, for an object that holds one
// key twice, and for more than 8 levels of nesting.
nlohmann::json parse_strict(std::string_view text, const std::string& where);

// The value of a key that must be there. Throws Error(kCorrupt).
const nlohmann::json& member(const nlohmann::json& object, const char* key, const std::string& where);

// Code points of a name that in_quotes() shows: those of tensors are long, and a hostile file makes them endless.
inline constexpr std::size_t kShownName = 120;
// A value as it may stand in a message, cut likewise.
std::string shown(const nlohmann::json& value);

}  // namespace palimpsest::model
