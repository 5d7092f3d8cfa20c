// A JSON Lines file, or one JSON array, as rows that know their line.
//
// Each row is parsed by itself, so an error names its own line; keys that stand twice in an object and nesting deeper
// than 32 are refused. A reader hands typed fields out and records what is wrong with them.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/row_errors.hpp"

namespace palimpsest::data {

// Calls row(json, line) for every row of `text` (well-formed UTF-8; a leading byte order mark is skipped). A text whose
// first character is '[' is one array of objects, otherwise every line that is not blank is an object. What is not
// JSON, or not an object, is added to `errors`. Lines count from 1; a row of an array stands on the line where its
// object opens.
void for_each_json_row(std::string_view text, RowErrors& errors,
                       const std::function<void(const nlohmann::json&, std::int64_t)>& row);

// "a number", "a list", ... with a short piece of the value: for `found ...`.
std::string describe(const nlohmann::json& value);

// The typed fields of one object. Every accessor adds to `errors` what it finds wrong and then returns an empty value.
class RowReader {
 public:
  RowReader(const nlohmann::json& object, std::int64_t line, RowErrors& errors, std::string path = {})
      : object_(object), line_(line), errors_(errors), path_(std::move(path)) {}

  bool has(const std::string& name) const { return object_.contains(name) && !object_.at(name).is_null(); }
  std::string text(const std::string& name) const;                        // required
  std::string text_or(const std::string& name, std::string other) const;  // absent or null: `other`
  std::vector<std::string> texts(const std::string& name, bool required) const;
  // A text, or an integer as text.
  std::string text_or_integer(const std::string& name) const;
  std::optional<RowReader> object(const std::string& name) const;  // required; nothing after an error
  std::vector<RowReader> objects(const std::string& name, bool required) const;
  void refuse_unknown(std::initializer_list<const char*> known) const;

  std::int64_t line() const { return line_; }
  template <typename... Parts>
  void error(std::string_view name, const Parts&... parts) const {
    errors_.add(line_, path_ + std::string(name), parts...);
  }

 private:
  const nlohmann::json* find(const std::string& name, bool required, std::string_view expected) const;

  const nlohmann::json& object_;
  std::int64_t line_;
  RowErrors& errors_;
  std::string path_;  // "requested_rewrite." for fields of a nested object
};

}  // namespace palimpsest::data
