#include "model/strict_json.hpp"

#include "base/error.hpp"
#include "base/json_keys.hpp"

namespace palimpsest::model {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 8;  // a header needs 3, an index 2

}  // namespace

Json parse_strict(std::string_view text, const std::string& where) {
  JsonKeys keys;
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) fail(ErrorCode::kCorrupt, where, " is nested more than ", kMaxDepth, " levels deep");
    if (const std::string* key = keys.twice(event, value))
      fail(ErrorCode::kCorrupt, where, " holds the key ", in_quotes(*key, kShownName), " twice");
    return true;
  };
  Json document;
  try {
    document = Json::parse(text.begin(), text.end(), check);
  } catch (const Json::exception& error) {
    fail(ErrorCode::kCorrupt, where, " is not valid JSON: ", error.what());
  }
  if (!document.is_object()) {
    fail(ErrorCode::kCorrupt, where, " must be a JSON object; it is of type ", document.type_name());
  }
  return document;
}

const Json& member(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) fail(ErrorCode::kCorrupt, where, " has no \"", key, "\"");
  return *found;
}

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > 80 ? text.substr(0, 80) + "..." : text;
}

}  // namespace palimpsest::model
