#include "config/schema.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <tuple>

#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest::config {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHome = "${home}";
constexpr std::size_t kShownProblems = 100;

std::string plain(double number) {
  if (std::abs(number) < 1e16 && number == std::floor(number)) return std::to_string(static_cast<std::int64_t>(number));
  return inline_toml(Value{number, {}});
}

std::string range_text(const KeySpec& spec) {
  std::string out;
  if (spec.min) out = cat(spec.above_min ? "above " : "from ", plain(*spec.min));
  if (spec.max) {
    const bool closed = spec.min && !spec.above_min && !spec.below_max;
    out += out.empty() ? "" : closed ? " " : " and ";
    out += cat(spec.below_max ? "below " : closed ? "to " : "up to ", plain(*spec.max));
  }
  return out.empty() ? out : " " + out;
}

std::string choices_text(const KeySpec& spec) {
  std::string out;
  for (const auto& choice : spec.choices) out += cat(out.empty() ? "\"" : ", \"", choice + "\"");
  return out;
}

bool in_range(double number, const KeySpec& spec) {
  if (!std::isfinite(number)) return false;
  if (spec.min && (spec.above_min ? number <= *spec.min : number < *spec.min)) return false;
  if (spec.max && (spec.below_max ? number >= *spec.max : number > *spec.max)) return false;
  return true;
}

std::string near_choice(const Value& value, const KeySpec& spec) {
  return value.is<std::string>() ? did_you_mean(value.as<std::string>(), spec.choices) : std::string();
}

// One value, or one element of a list, as a `type` that is no list; nothing when it is not accepted.
std::optional<Value> accept(const Value& value, Type type, const KeySpec& spec) {
  switch (type) {
    case Type::boolean: return value.is<bool>() ? std::optional(value) : std::nullopt;
    case Type::integer:
      if (!value.is<std::int64_t>() || !in_range(static_cast<double>(value.as<std::int64_t>()), spec)) return {};
      return value;
    case Type::number: {
      Value number = value;
      if (value.is<std::int64_t>()) number.data = static_cast<double>(value.as<std::int64_t>());
      if (!number.is<double>() || !in_range(number.as<double>(), spec)) return {};
      return number;
    }
    case Type::string:
    case Type::path:
      if (!value.is<std::string>()) return {};
      if (value.as<std::string>().find('\0') != std::string::npos) return {};
      if (!spec.choices.empty() &&
          std::find(spec.choices.begin(), spec.choices.end(), value.as<std::string>()) == spec.choices.end()) {
        return {};
      }
      return value;
    default: return value;
  }
}

std::optional<Type> element_type(Type type) {
  switch (type) {
    case Type::integer_list: return Type::integer;
    case Type::number_list: return Type::number;
    case Type::string_list: return Type::string;
    default: return {};
  }
}

// The accepted value, or nothing after adding problems.
std::optional<Value> check_value(const Value& value, const std::string& key, const KeySpec& spec, Check& check) {
  const auto element = element_type(spec.type);
  if (!element) {
    auto accepted = accept(value, spec.type, spec);
    if (!accepted) {
      check.add(value.position, key,
                cat("found ", describe(value), ", expected ", expected(spec), near_choice(value, spec)));
    }
    return accepted;
  }
  if (!value.is<Array>()) {
    check.add(value.position, key, cat("found ", describe(value), ", expected ", expected(spec)));
    return {};
  }
  Value list{Array{}, value.position};
  bool whole = true;
  for (const Value& item : value.as<Array>()) {
    if (auto accepted = accept(item, *element, spec)) {
      list.as<Array>().push_back(std::move(*accepted));
    } else {
      check.add(item.position, key,
                cat("found ", describe(item), " in the list, expected ", expected(spec), near_choice(item, spec)));
      whole = false;
    }
  }
  return whole ? std::optional(std::move(list)) : std::nullopt;
}

void check_path(const Value& value, const std::string& key, const KeySpec& spec, Check& check) {
  const auto& given = value.as<std::string>();
  if (given.empty()) return;
  std::vector<fs::path> tried;
  fs::path found = find_path(given, value.position, check.locations, spec.below_home, &tried);
  if (found.empty() && check.files) {
    const bool prepared = given.starts_with(kHome) || !spec.below_home.empty();
    check.add(
        value.position, key,
        cat("found ", describe(value), ", expected the path of an existing file or folder; looked for ",
            places_text(tried), prepared ? "; `palimpsest prepare` makes the models and data of the quickstart" : ""));
  }
  check.found[key] = found.empty() ? tried.front() : found;
}

std::vector<std::string> names_of(const std::vector<KeySpec>& keys) {
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(key.name);
  return names;
}

std::string listed(const std::vector<std::string>& names) { return names.empty() ? "none at all" : list_text(names); }

std::string spaced(std::string text) {
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

std::string dotted(const std::string& prefix, const std::string& name) {
  const std::string part = join_key({name});
  return prefix.empty() ? part : prefix + "." + part;
}

}  // namespace

std::string_view name_of(Type type) {
  switch (type) {
    case Type::boolean: return "boolean";
    case Type::integer: return "integer";
    case Type::number: return "number";
    case Type::string: return "string";
    case Type::path: return "path";
    case Type::integer_list: return "list of integers";
    case Type::number_list: return "list of numbers";
    case Type::string_list: return "list of strings";
    case Type::any: return "any";
  }
  return "any";
}

Locations locations_of_process(const fs::path& root) {
  Locations locations;
  locations.working = fs::current_path();
  locations.root = fs::absolute(root).lexically_normal();
  const char* home = std::getenv("PALIMPSEST_HOME");
  locations.home = home && *home ? fs::absolute(home).lexically_normal() : locations.root / ".palimpsest";
  return locations;
}

std::string Problem::text() const { return cat(position.text(), ": ", key, ": ", message); }

void sort_problems(std::vector<Problem>& problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    if (before(a.position, b.position) != before(b.position, a.position)) return before(a.position, b.position);
    return std::tie(a.key, a.message) < std::tie(b.key, b.message);
  });
  const auto equal = [](const Problem& a, const Problem& b) { return a.text() == b.text(); };
  problems.erase(std::unique(problems.begin(), problems.end(), equal), problems.end());
}

std::string text_of(const std::vector<Problem>& problems) {
  std::string out;
  for (std::size_t i = 0; i < std::min(problems.size(), kShownProblems); ++i) {
    out += cat(out.empty() ? "" : "\n", problems[i].text());
  }
  if (problems.size() > kShownProblems) out += cat("\nand ", problems.size() - kShownProblems, " problems more");
  return out;
}

std::string allowed(const KeySpec& spec) {
  if (!spec.choices.empty()) return choices_text(spec);
  const std::string range = range_text(spec);
  return range.empty() ? range : range.substr(1);
}

std::string expected(const KeySpec& spec) {
  switch (spec.type) {
    case Type::boolean: return "true or false";
    case Type::integer: return cat("an integer", range_text(spec));
    case Type::number: return cat("a number", range_text(spec));
    case Type::string: return spec.choices.empty() ? "a string" : cat("one of ", choices_text(spec));
    case Type::path: return "the path of a file or folder";
    case Type::integer_list: return cat("a list of integers", range_text(spec));
    case Type::number_list: return cat("a list of numbers", range_text(spec));
    case Type::string_list: return spec.choices.empty() ? "a list of strings" : cat("a list of ", choices_text(spec));
    case Type::any: return "a value";
  }
  return "a value";
}

std::string places_text(const std::vector<fs::path>& places) {
  return list_text(places, [](const fs::path& place) { return place.string(); });
}

fs::path find_path(const std::string& given, const Position& position, const Locations& locations,
                   const std::string& below_home, std::vector<fs::path>* tried) {
  std::vector<fs::path> places;
  const fs::path path(given);
  const bool at_home = given.starts_with(kHome) && (given.size() == kHome.size() || given[kHome.size()] == '/');
  if (at_home) {
    places = {given.size() == kHome.size() ? locations.home : locations.home / given.substr(kHome.size() + 1)};
  } else if (path.is_absolute()) {
    places = {path};
  } else {
    // A folder of "" is the current one.
    places = {locations.working / (position.source ? position.source->folder : fs::path()) / path,
              locations.root / path, locations.home / path};
    if (!below_home.empty()) places.push_back(locations.home / below_home / path);
  }
  std::vector<fs::path> distinct;
  for (auto& place : places) {
    place = place.lexically_normal();
    if (std::find(distinct.begin(), distinct.end(), place) == distinct.end()) distinct.push_back(place);
  }
  if (tried) *tried = distinct;
  for (const auto& place : distinct) {
    std::error_code unreadable;
    if (fs::exists(place, unreadable)) return place;
  }
  return {};
}

void Check::add(const Position& position, const std::string& key, const std::string& message) {
  problems.push_back({position, key, message});
  failed.insert(key);
}

Table check_table(const Table& table, const Position& where, const std::string& prefix,
                  const std::vector<KeySpec>& keys, Check& check) {
  for (const Entry& entry : table.entries) {
    if (std::any_of(keys.begin(), keys.end(), [&](const KeySpec& spec) { return spec.name == entry.key; })) continue;
    const auto names = names_of(keys);
    const std::string near = did_you_mean(entry.key, names);
    check.add(
        entry.key_position, dotted(prefix, entry.key),
        cat("found an unknown key, expected a key of [", prefix, "]", near.empty() ? ": " + listed(names) : near));
  }
  Table result;
  for (const KeySpec& spec : keys) {
    const std::string key = dotted(prefix, spec.name);
    const Entry* entry = table.find(spec.name);
    std::optional<Value> value;
    if (entry) {
      value = check_value(entry->value, key, spec, check);
    } else if (spec.required) {
      check.add(where, key, cat("found nothing, expected ", expected(spec), "; this key is required: ", spec.doc));
    }
    const bool is_default = !value && spec.default_value;
    if (is_default) {
      value = spec.default_value;
      value->position = entry ? entry->value.position : where;
    }
    if (!value) continue;
    if (spec.type == Type::path && value->is<std::string>()) check_path(*value, key, spec, check);
    result.set(spec.name, std::move(*value), entry ? entry->key_position : where);
  }
  return result;
}

Table check_plugin_table(const Table& table, const Position& where, const std::string& prefix, const std::string& kind,
                         const std::string& default_id, const PluginCatalog& catalog, Check& check,
                         const PluginSpec** plugin) {
  *plugin = nullptr;
  const std::string key = dotted(prefix, "id");
  const Entry* entry = table.find("id");
  Value id = entry ? entry->value : Value{default_id, where};
  const auto wanted = [&] {
    auto available = catalog.available(kind);
    std::sort(available.begin(), available.end());
    const std::string near =
        id.is<std::string>() && entry ? did_you_mean(id.as<std::string>(), available) : std::string();
    return cat(", expected an available ", spaced(kind), ": ", listed(available), near);
  };
  Table rest = table;
  rest.erase("id");
  if (!id.is<std::string>() || (entry && id.as<std::string>().empty())) {
    check.add(id.position, key, cat("found ", describe(id), wanted()));
    return rest;
  }
  if (id.as<std::string>().empty()) {
    check.add(where, key, cat("found nothing", wanted()));
    return rest;
  }
  *plugin = catalog.find(kind, id.as<std::string>());
  if (!*plugin) {
    check.add(id.position, key, cat("found ", describe(id), wanted()));
    return rest;
  }
  const Table parameters = check_table(rest, where, prefix, (*plugin)->parameters, check);
  Table result;
  result.set("id", std::move(id), entry ? entry->key_position : where);
  for (const Entry& parameter : parameters.entries) result.set(parameter.key, parameter.value, parameter.key_position);
  return result;
}

}  // namespace palimpsest::config
