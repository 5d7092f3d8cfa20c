#include "model/strict_json.hpp"

#include <set>
#include <vector>

#include "base/error.hpp"

namespace palimpsest::model {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 8;  // a header needs 3, an index 2

}  // namespace

Json parse_strict(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> open_objects;
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) fail(ErrorCode::kCorrupt, where, " is nested more than ", kMaxDepth, " levels deep");
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!open_objects.back().insert(key).second) {
        fail(ErrorCode::kCorrupt, where, " holds the key ", in_quotes(key), " twice");
      }
    }
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

std::string in_quotes(std::string_view name) {
  constexpr std::size_t kShown = 120;
  std::string text = "\"";
  for (const char c : name.substr(0, kShown)) text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return text + (name.size() > kShown ? "...\"" : "\"");
}

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > 80 ? text.substr(0, 80) + "..." : text;
}

}  // namespace palimpsest::model
