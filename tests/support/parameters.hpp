// Parameters of plugins as the host takes them, by name; which one a parameter is follows from its type.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "plugin/instance.hpp"

namespace palimpsest {

// Booleans too.
inline plugin::ParameterValue integer(std::string name, std::int64_t value) {
  plugin::ParameterValue made;
  made.name = std::move(name);
  made.integer = value;
  return made;
}
inline plugin::ParameterValue number(std::string name, double value) {
  plugin::ParameterValue made;
  made.name = std::move(name);
  made.number = value;
  return made;
}
// Paths too.
inline plugin::ParameterValue text(std::string name, std::string value) {
  plugin::ParameterValue made;
  made.name = std::move(name);
  made.text = std::move(value);
  return made;
}
inline plugin::ParameterValue integers(std::string name, std::vector<std::int64_t> values) {
  plugin::ParameterValue made;
  made.name = std::move(name);
  made.integers = std::move(values);
  return made;
}
inline plugin::ParameterValue texts(std::string name, std::vector<std::string> values) {
  plugin::ParameterValue made;
  made.name = std::move(name);
  made.texts = std::move(values);
  return made;
}

// `values` with one of them changed, or added.
inline std::vector<plugin::ParameterValue> with(std::vector<plugin::ParameterValue> values,
                                                plugin::ParameterValue changed) {
  std::erase_if(values, [&](const auto& value) { return value.name == changed.name; });
  values.push_back(std::move(changed));
  return values;
}

}  // namespace palimpsest
