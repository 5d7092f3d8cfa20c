// Keys that stand twice in one JSON object, which nlohmann's parser lets pass: the last one would win in silence.
//
// Told every event of one parse, in order. Header only: who reads JSON has the library.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace palimpsest {

class JsonKeys {
 public:
  // The key of this event where its object has it already, else null; lives as long as `value`.
  const std::string* twice(nlohmann::json::parse_event_t event, const nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) open_.emplace_back();
    if (event == Event::object_end) open_.pop_back();
    if (event != Event::key) return nullptr;
    const auto& key = value.get_ref<const std::string&>();
    return open_.back().insert(key).second ? nullptr : &key;
  }

 private:
  std::vector<std::set<std::string>> open_;  // keys of the objects around the event, the innermost last
};

}  // namespace palimpsest
