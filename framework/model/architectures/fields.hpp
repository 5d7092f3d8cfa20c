// Reads config.json's fields one by one, and at the end answers for those nobody read.
//
// Every error names the file, the field, what was found and what was expected. A field that is null counts as absent.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>

namespace palimpsest::model {

class Fields {
 public:
  // Both arguments must outlive the object.
  Fields(const nlohmann::json& object, std::string_view origin);

  std::int64_t positive(std::string_view key);
  std::int64_t positive(std::string_view key, std::int64_t fallback);
  double number(std::string_view key);
  double number(std::string_view key, double fallback);
  bool boolean(std::string_view key, bool fallback);
  std::string text(std::string_view key, std::string_view fallback);
  // The object under `key`, or null.
  const nlohmann::json* object(std::string_view key);
  // Whether the field is there at all, be it null.
  bool has(std::string_view key) const;
  // Known not to change what this runtime computes.
  void ignore(std::initializer_list<std::string_view> keys);
  // kUnsupported if the field is there with another value than null, false, or `neutral`.
  void refuse_unless(std::string_view key, double neutral, std::string_view why);
  // kUnsupported for fields that change the numbers and were not read; a warning in the log for names nobody knows.
  void finish();

  const std::string& origin() const { return origin_; }
  // Null when absent or null.
  const nlohmann::json* find(std::string_view key);

 private:
  const nlohmann::json& object_;
  std::string origin_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace palimpsest::model
