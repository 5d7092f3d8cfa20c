#include "config/search.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.hpp"
#include "base/rng.hpp"
#include "base/text.hpp"
#include "config/experiment_schema.hpp"
#include "config/layers.hpp"

namespace palimpsest::config {
namespace {

constexpr const char* kPrefix = "tune.search";

// Three digits tell one value from the next, and are what one would write into a file.
double rounded(double value) { return std::strtod(number_text("%.3g", value).c_str(), nullptr); }

Value drawn(const SearchedParameter& parameter, Rng& rng) {
  if (!parameter.choices.empty()) return parameter.choices[rng.below(parameter.choices.size())];
  if (parameter.spec.type == Type::integer && !parameter.log) {
    const auto count = static_cast<std::uint64_t>(parameter.max - parameter.min) + 1;
    return {static_cast<std::int64_t>(parameter.min) + static_cast<std::int64_t>(rng.below(count)), {}};
  }
  const double share = rng.uniform();
  const double low = parameter.log ? std::log(parameter.min) : parameter.min;
  const double high = parameter.log ? std::log(parameter.max) : parameter.max;
  const double at = low + share * (high - low);
  const double value = parameter.log ? std::exp(at) : at;
  if (parameter.spec.type == Type::integer) {
    return {static_cast<std::int64_t>(std::clamp(std::round(value), parameter.min, parameter.max)), {}};
  }
  return {std::clamp(rounded(value), parameter.min, parameter.max), {}};
}

// Reads the entries of [tune.search].
class SearchReader {
 public:
  SearchReader(const PluginSpec& editor, Check& check) : editor_(editor), check_(check) {}

  std::optional<SearchedParameter> read(const Entry& entry) {
    const std::string key = cat(kPrefix, ".", join_key({entry.key}));
    const auto spec = std::find_if(editor_.parameters.begin(), editor_.parameters.end(),
                                   [&](const KeySpec& candidate) { return candidate.name == entry.key; });
    if (spec == editor_.parameters.end()) {
      std::vector<std::string> names;
      for (const auto& parameter : editor_.parameters) names.push_back(parameter.name);
      check_.add(
          entry.key_position, key,
          cat("found an unknown key, expected a parameter of the editor ", editor_.id, did_you_mean(entry.key, names)));
      return {};
    }
    if (!entry.value.is<Table>()) {
      check_.add(entry.value.position, key,
                 cat("found ", describe(entry.value), ", expected { min = ..., max = ... } or { choices = [...] }"));
      return {};
    }
    const std::size_t before = check_.problems.size();
    SearchedParameter made{*spec, entry.value.position, 0, 0, false, {}};
    const Table table = check_table(entry.value.as<Table>(), entry.value.position, key, keys(), check_);
    if (check_.problems.size() > before) return {};
    const Entry* choices = table.find("choices");
    const Entry* min = table.find("min");
    const Entry* max = table.find("max");
    made.log = table.find("log")->value.as<bool>();
    if (choices && (min || max || made.log)) {
      check_.add(entry.value.position, key, "found choices beside min, max or log, expected one or the other");
    } else if (choices) {
      read_choices(*choices, key, made);
    } else {
      read_range(min, max, key, made);
    }
    return check_.problems.size() > before ? std::nullopt : std::optional(std::move(made));
  }

 private:
  static const std::vector<KeySpec>& keys() {
    static const std::vector<KeySpec> all = [] {
      std::vector<KeySpec> specs(4);
      specs[0].name = "min";
      specs[1].name = "max";
      specs[2].name = "choices";
      specs[3].name = "log";
      specs[3].type = Type::boolean;
      specs[3].default_value = Value{false, {}};
      return specs;
    }();
    return all;
  }

  // `value` as the parameter's own check takes it, or nothing after a problem.
  std::optional<Value> accepted(const Value& value, const KeySpec& spec) {
    // Resolved with the trial's experiment.
    if (is_layer(spec) && is_relative_layer(value)) return value;
    const std::size_t before = check_.problems.size();
    Table one;
    one.set(spec.name, value, value.position);
    const Table table = check_table(one, value.position, kPrefix, {spec}, check_);
    if (check_.problems.size() > before) return {};
    return table.find(spec.name)->value;
  }

  void read_choices(const Entry& choices, const std::string& key, SearchedParameter& made) {
    if (!choices.value.is<Array>() || choices.value.as<Array>().size() < 2) {
      check_.add(choices.value.position, key,
                 cat("found ", choices.value.is<Array>() ? "fewer than two choices" : describe(choices.value),
                     ", expected choices = [...] with two values or more"));
      return;
    }
    for (const Value& choice : choices.value.as<Array>()) {
      if (auto value = accepted(choice, made.spec)) made.choices.push_back(std::move(*value));
    }
  }

  void read_range(const Entry* min, const Entry* max, const std::string& key, SearchedParameter& made) {
    if (!min || !max) {
      check_.add(made.position, key,
                 cat("found ",
                     min   ? "no max"
                     : max ? "no min"
                           : "neither min and max nor choices",
                     ", expected { min = ..., max = ... } or { choices = [...] }"));
      return;
    }
    if (made.spec.type != Type::integer && made.spec.type != Type::number) {
      check_.add(made.position, key,
                 cat("found min and max, expected choices = [...]: the parameter holds ", expected(made.spec)));
      return;
    }
    const auto number = [&](const Entry& end) {
      if (is_relative_layer(end.value) && made.spec.type == Type::integer) {
        check_.add(end.value.position, key, cat("found ", describe(end.value), ", expected ", expected(made.spec)));
        return 0.0;
      }
      const auto value = accepted(end.value, made.spec);
      if (!value) return 0.0;
      return value->is<double>() ? value->as<double>() : static_cast<double>(value->as<std::int64_t>());
    };
    const std::size_t before = check_.problems.size();
    made.min = number(*min);
    made.max = number(*max);
    if (check_.problems.size() > before) return;
    if (made.min >= made.max) {
      check_.add(min->value.position, key,
                 cat("found min = ", inline_toml(min->value), " and max = ", inline_toml(max->value),
                     ", expected min below max"));
    } else if (made.log && made.min <= 0) {
      check_.add(min->value.position, key,
                 cat("found min = ", inline_toml(min->value), " with log = true, expected min above 0"));
    }
  }

  const PluginSpec& editor_;
  Check& check_;
};

std::optional<ObjectivePart> part_of(const Value& value, Check& check) {
  const auto& text = value.as<std::string>();
  const auto dot = text.find('.');
  if (dot == std::string::npos || dot == 0 || dot + 1 == text.size()) {
    check.add(
        value.position, "tune.objective",
        cat("found ", describe(value), " in the list, expected METRIC.COLUMN, such as \"edit_success.efficacy\""));
    return {};
  }
  return ObjectivePart{text.substr(0, dot), text.substr(dot + 1)};
}

}  // namespace

Table Search::draw(std::int64_t trial, std::int64_t attempt) const {
  Table overlay;
  if (trial == 0) return overlay;
  for (const SearchedParameter& parameter : parameters) {
    std::string stream = cat("tune/", trial, "/", parameter.spec.name);
    if (attempt > 0) stream += cat("/", attempt);
    Rng rng(seed, stream);
    Value value = drawn(parameter, rng);
    value.position = parameter.position;
    overlay.set(parameter.spec.name, std::move(value), parameter.position);
  }
  return overlay;
}

Search read_search(const Entry& tune, const PluginSpec& editor, Check& check) {
  Search made;
  made.position = tune.value.position;
  made.editor = editor.id;
  if (!tune.value.is<Table>()) {
    check.add(tune.value.position, "tune", cat("found ", describe(tune.value), ", expected a table [tune]"));
    return made;
  }
  const std::size_t before = check.problems.size();
  const Table table =
      check_table(tune.value.as<Table>(), tune.value.position, "tune", experiment_table("tune").keys, check);
  if (check.problems.size() > before) return made;
  made.trials = table.find("trials")->value.as<std::int64_t>();
  made.seed = static_cast<std::uint64_t>(table.find("seed")->value.as<std::int64_t>());
  made.apart_from = table.find("apart_from")->value.as<Array>();
  for (const Value& column : table.find("objective")->value.as<Array>()) {
    if (auto part = part_of(column, check)) made.objective.push_back(std::move(*part));
  }
  if (table.find("objective")->value.as<Array>().empty()) {
    check.add(table.find("objective")->value.position, "tune.objective",
              "found an empty list, expected at least one METRIC.COLUMN");
  }
  const Value& search = table.find("search")->value;
  if (!search.is<Table>() || search.as<Table>().entries.empty()) {
    check.add(search.position, kPrefix,
              cat("found ", search.is<Table>() ? "nothing" : describe(search),
                  ", expected at least one parameter of the editor ", editor.id,
                  ", such as NAME = { min = ..., max = ... }"));
    return made;
  }
  SearchReader reader(editor, check);
  for (const Entry& entry : search.as<Table>().entries) {
    if (auto parameter = reader.read(entry)) made.parameters.push_back(std::move(*parameter));
  }
  return made;
}

}  // namespace palimpsest::config
