// A value of a JSON document with its place in it: for messages that name the place, and for refusing what is not
// known.
//
// Inside the tokenizer's JSON reader only. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "model/tokenizer/bytes.hpp"

namespace palimpsest::model {

// Ids index tables and embedding rows; a larger one in a file is a mistake, not a vocabulary.
inline constexpr std::int64_t kLargestId = (std::int64_t{1} << 24) - 1;

class JsonNode {
 public:
  using json = nlohmann::json;

  // `place` is such as "pre_tokenizer.pretokenizers[1]". The value outlives this object.
  JsonNode(const json& value, std::string place, const std::filesystem::path& file)
      : value_(&value), place_(std::move(place)), file_(&file) {}

  const json& value() const { return *value_; }
  bool is_null() const { return value_->is_null(); }

  template <typename... Parts>
  [[noreturn]] void corrupt(const Parts&... parts) const {
    fail(ErrorCode::kCorrupt, file_->string(), ": ", place_.empty() ? "the document" : place_, ": ", parts...);
  }
  template <typename... Parts>
  [[noreturn]] void unsupported(const Parts&... parts) const {
    fail(ErrorCode::kUnsupported, file_->string(), ": ", place_.empty() ? "the document" : place_, ": ", parts...);
  }

  void keys(std::initializer_list<std::string_view> known) const {
    object();
    for (const auto& [key, unused] : value_->items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        unsupported("the key \"", key, "\" is not known", did_you_mean(key, known),
                    "; ids could differ if it were passed over");
      }
    }
  }
  bool has(const std::string& key) const { return value_->is_object() && value_->contains(key); }
  // Null when absent.
  JsonNode at(const std::string& key) const {
    static const json kNull;
    object();
    const auto found = value_->find(key);
    return {found == value_->end() ? kNull : *found, place_.empty() ? key : place_ + "." + key, *file_};
  }
  std::vector<JsonNode> items() const {
    if (!value_->is_array()) corrupt("expected an array, found ", value_->type_name());
    std::vector<JsonNode> out;
    for (std::size_t i = 0; i < value_->size(); ++i) out.emplace_back((*value_)[i], cat(place_, "[", i, "]"), *file_);
    return out;
  }
  std::string text() const {
    if (!value_->is_string()) corrupt("expected a text, found ", value_->type_name());
    return value_->get<std::string>();
  }
  bool flag(bool when_absent) const {
    if (is_null()) return when_absent;
    if (!value_->is_boolean()) corrupt("expected true or false, found ", value_->type_name());
    return value_->get<bool>();
  }
  std::int32_t id() const {
    if (!value_->is_number_integer()) corrupt("expected an id, found ", value_->type_name());
    const auto number = value_->get<std::int64_t>();
    if (number < 0 || number > kLargestId) corrupt("the id ", number, " is not within 0 and ", kLargestId);
    return static_cast<std::int32_t>(number);
  }
  std::size_t count() const {
    if (!value_->is_number_unsigned()) corrupt("expected a count, found ", value_->dump());
    return value_->get<std::size_t>();
  }
  char32_t character() const {
    const auto points = decode_utf8(text()).points;
    if (points.size() != 1) corrupt("expected one character, found \"", text(), "\"");
    return points.front();
  }
  void null_only(const char* advice) const {
    if (!is_null()) unsupported("is not supported, only null is; ", advice);
  }

 private:
  void object() const {
    if (!value_->is_object()) corrupt("expected an object, found ", value_->type_name());
  }
  const json* value_;
  std::string place_;
  const std::filesystem::path* file_;
};

// The key "type".
inline std::string type_of(const JsonNode& node) {
  const JsonNode type = node.at("type");
  if (type.is_null()) node.corrupt("the key \"type\" is missing");
  return type.text();
}

}  // namespace palimpsest::model
