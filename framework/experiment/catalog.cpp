#include "experiment/catalog.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "model/config.hpp"

namespace palimpsest::experiment {
namespace {

config::Type type_of(palimpsest_parameter_type type) {
  switch (type) {
    case PALIMPSEST_PARAMETER_BOOLEAN: return config::Type::boolean;
    case PALIMPSEST_PARAMETER_INTEGER: return config::Type::integer;
    case PALIMPSEST_PARAMETER_NUMBER: return config::Type::number;
    case PALIMPSEST_PARAMETER_STRING: return config::Type::string;
    case PALIMPSEST_PARAMETER_PATH: return config::Type::path;
    case PALIMPSEST_PARAMETER_INTEGER_LIST: return config::Type::integer_list;
    case PALIMPSEST_PARAMETER_NUMBER_LIST: return config::Type::number_list;
    case PALIMPSEST_PARAMETER_STRING_LIST: return config::Type::string_list;
  }
  fail(ErrorCode::kInternal, "a parameter of type ", type, " passed the check of its descriptor");
}

template <typename T, typename Of>
config::Value list_of(const T* items, std::size_t count, Of&& of) {
  config::Array array;
  for (std::size_t i = 0; i < count; ++i) array.push_back(config::Value{of(items[i]), {}});
  return {std::move(array), {}};
}

config::Value value_of(palimpsest_parameter_type type, const palimpsest_parameter_value& value) {
  const auto text = [](palimpsest_text t) { return std::string(t.data, t.size); };
  switch (type) {
    case PALIMPSEST_PARAMETER_BOOLEAN: return {value.integer != 0, {}};
    case PALIMPSEST_PARAMETER_INTEGER: return {value.integer, {}};
    case PALIMPSEST_PARAMETER_NUMBER: return {value.number, {}};
    case PALIMPSEST_PARAMETER_INTEGER_LIST:
      return list_of(value.integers, value.count, [](std::int64_t x) { return x; });
    case PALIMPSEST_PARAMETER_NUMBER_LIST: return list_of(value.numbers, value.count, [](double x) { return x; });
    case PALIMPSEST_PARAMETER_STRING_LIST: return list_of(value.texts, value.count, text);
    default: return {text(value.text), {}};
  }
}

}  // namespace

std::string_view abi_kind(std::string_view table) {
  if (table == "task") return PALIMPSEST_KIND_FINETUNE_TASK;
  if (table == "freeze_policy") return PALIMPSEST_KIND_FREEZE_POLICY;
  return table;
}

std::string_view table_of(std::string_view kind) {
  if (kind == PALIMPSEST_KIND_FINETUNE_TASK) return "task";
  if (kind == PALIMPSEST_KIND_FREEZE_POLICY) return "freeze_policy";
  return kind;
}

config::PluginSpec spec_of(const palimpsest_descriptor& descriptor) {
  config::PluginSpec spec{descriptor.id, descriptor.version, {}};
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const palimpsest_parameter& p = descriptor.parameters[i];
    config::KeySpec key;
    key.name = p.name;
    key.type = type_of(p.type);
    if (p.default_value.present != 0) key.default_value = value_of(p.type, p.default_value);
    if (p.has_min != 0) key.min = p.min;
    if (p.has_max != 0) key.max = p.max;
    for (const char* const* choice = p.choices; choice != nullptr && *choice != nullptr; ++choice)
      key.choices.emplace_back(*choice);
    key.required = p.required != 0;
    key.unit = p.unit;
    key.doc = p.doc;
    spec.parameters.push_back(std::move(key));
  }
  return spec;
}

const config::PluginSpec* Catalog::find(std::string_view kind, std::string_view id) const {
  const std::string name = cat(kind, ":", id);
  if (const auto known = specs_.find(name); known != specs_.end()) return &known->second;
  const auto ids = registry_->ids(abi_kind(kind));
  if (std::find(ids.begin(), ids.end(), id) == ids.end()) {
    // Perhaps it is in a library that was refused unread.
    for (const auto& refused : registry_->refused()) {
      const std::string reason = "refused: " + refused.reason;
      if (std::find(problems_.begin(), problems_.end(), reason) == problems_.end()) problems_.push_back(reason);
    }
    return nullptr;
  }
  try {
    const plugin::Plugin plugin = registry_->find(abi_kind(kind), id);
    return &specs_.emplace(name, spec_of(*plugin.descriptor)).first->second;
  } catch (const Error& error) {
    problems_.emplace_back(error.what());
    return nullptr;
  }
}

std::vector<std::string> Catalog::available(std::string_view kind) const { return registry_->ids(abi_kind(kind)); }

config::ModelShape Catalog::model_shape(const std::filesystem::path& folder) const {
  if (const auto known = shapes_.find(folder); known != shapes_.end()) return known->second;
  const model::Config config = model::read_config(folder);
  return shapes_[folder] = {config.architecture, config.layers, config.hidden, config.vocabulary};
}

std::vector<plugin::ParameterValue> parameter_values(const config::PluginChoice& choice) {
  std::vector<plugin::ParameterValue> values;
  for (const auto& [name, value] : choice.parameters) {
    plugin::ParameterValue made;
    made.name = name;
    if (const auto* flag = std::get_if<bool>(&value.data)) made.integer = *flag ? 1 : 0;
    if (const auto* integer = std::get_if<std::int64_t>(&value.data)) {
      made.integer = *integer;
      made.number = static_cast<double>(*integer);
    }
    if (const auto* number = std::get_if<double>(&value.data)) made.number = *number;
    if (const auto* text = std::get_if<std::string>(&value.data)) made.text = *text;
    if (const auto* array = std::get_if<config::Array>(&value.data)) {
      for (const auto& item : *array) {
        if (const auto* i = std::get_if<std::int64_t>(&item.data)) made.integers.push_back(*i);
        if (const auto* d = std::get_if<double>(&item.data)) made.numbers.push_back(*d);
        if (const auto* s = std::get_if<std::string>(&item.data)) made.texts.push_back(*s);
      }
    }
    values.push_back(std::move(made));
  }
  return values;
}

}  // namespace palimpsest::experiment
