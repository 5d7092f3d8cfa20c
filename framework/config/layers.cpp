#include "config/layers.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.hpp"
#include "base/files.hpp"
#include "config/document.hpp"

namespace palimpsest::config {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAuto = "auto";
constexpr const char* kFolder = "configs/models";
constexpr const char* kIndex = "published.toml";

bool is_auto(const Value& value) { return value.is<std::string>() && value.as<std::string>() == kAuto; }

Table read_table(const fs::path& file) {
  const auto source = std::make_shared<Source>(Source{file.string(), file.parent_path(), 0});
  return parse_toml(read_file(file, kMaxFileBytes), source);
}

const Table* inner(const Table* table, std::string_view key) {
  const Entry* entry = table ? table->find(key) : nullptr;
  return entry && entry->value.is<Table>() ? &entry->value.as<Table>() : nullptr;
}

// The file of published settings for a model of that shape, "" without one.
std::string published_file(const Table& index, const ModelShape& shape) {
  const Entry* models = index.find("model");
  if (!models || !models->value.is<Array>()) return "";
  for (const Value& model : models->value.as<Array>()) {
    if (!model.is<Table>()) continue;
    const auto holds = [&](std::string_view key, const auto& wanted) {
      const Entry* entry = model.as<Table>().find(key);
      return entry && same(entry->value, Value{wanted, {}});
    };
    const Entry* file = model.as<Table>().find("file");
    if (holds("model_type", shape.type) && holds("layers", shape.layers) && holds("hidden", shape.hidden) &&
        holds("vocabulary", shape.vocabulary) && file && file->value.is<std::string>()) {
      return file->value.as<std::string>();
    }
  }
  return "";
}

// One plugin's table.
class Resolver {
 public:
  Resolver(const std::string& prefix, const PluginSpec& plugin, const LayerContext& context)
      : prefix_(prefix), plugin_(plugin), context_(context) {}

  void resolve(Entry& entry, const KeySpec& spec) {
    key_ = prefix_ + "." + join_key({spec.name});
    if (is_auto(entry.value)) {
      if (auto found = published(entry.value.position, spec)) {
        entry.value.data = std::move(found->data);
      } else {
        entry.value.data = spec.type == Type::integer ? Value{std::int64_t{0}, {}}.data : Value{Array{}, {}}.data;
      }
    } else if (spec.type == Type::integer) {
      resolve_fraction(entry.value);
    } else {
      for (Value& item : entry.value.as<Array>()) resolve_fraction(item);
    }
  }

 private:
  void add(const Position& position, const std::string& message) { context_.check.add(position, key_, message); }

  // Nothing after a problem, or where there is no model to ask.
  std::optional<ModelShape> shape(const Position& position, const std::string& found) {
    if (context_.model.empty()) return {};
    try {
      return context_.catalog.model_shape(context_.model);
    } catch (const Error& error) {
      if (!context_.check.files) return {};  // the model need not be there
      add(position,
          cat("found ", found, ", which follows from the model's depth, and that is not known: ", error.what()));
      return {};
    }
  }

  void resolve_fraction(Value& value) {
    if (!value.is<double>()) return;
    const double fraction = value.as<double>();
    const std::string found = describe(value);
    value.data = std::int64_t{0};
    if (!(fraction >= 0 && fraction < 1)) {
      add(value.position,
          cat("found ", found,
              ", expected a layer as an integer, a fraction of the depth from 0 and below 1, or \"auto\""));
    } else if (const auto model = shape(value.position, found)) {
      value.data = layer_at(fraction, model->layers);
    }
  }

  std::optional<Value> published(const Position& position, const KeySpec& spec) {
    const auto model = shape(position, "the string \"auto\"");
    if (!model) return {};
    const std::string wanted =
        cat("expected ", expected(spec),
            " or fractions of the depth: the metric causal_trace shows where a model keeps its facts");
    const fs::path folder = context_.check.locations.root / kFolder;
    try {
      const std::string name = published_file(read_table(folder / kIndex), *model);
      if (name.empty()) {
        add(position, cat("found the string \"auto\", and ", kFolder, "/", kIndex, " lists no model of type ",
                          model->type, " with ", model->layers, " layers, hidden size ", model->hidden, " and ",
                          model->vocabulary, " tokens; ", wanted));
        return {};
      }
      const Table file = read_table(folder / name);
      const Table* parameters = inner(inner(inner(&file, "defaults"), context_.kind), plugin_.id);
      const Entry* entry = parameters ? parameters->find(spec.name) : nullptr;
      if (entry && !is_relative_layer(entry->value)) return entry->value;
      add(position, cat("found the string \"auto\", and ", kFolder, "/", name, " has no ", spec.name, " for the ",
                        context_.kind, " ", plugin_.id, "; ", wanted));
    } catch (const Error& error) {
      add(position, cat("found the string \"auto\", and the published values cannot be read: ", error.what()));
    }
    return {};
  }

  const std::string& prefix_;
  const PluginSpec& plugin_;
  const LayerContext& context_;
  std::string key_;
};

}  // namespace

bool is_layer(const KeySpec& spec) {
  return spec.unit == kLayerUnit && (spec.type == Type::integer || spec.type == Type::integer_list);
}

bool is_relative_layer(const Value& value) {
  if (value.is<double>() || is_auto(value)) return true;
  if (!value.is<Array>()) return false;
  const auto& items = value.as<Array>();
  return std::any_of(items.begin(), items.end(), [](const Value& item) { return item.is<double>(); });
}

std::int64_t layer_at(double fraction, std::int64_t layers) {
  return std::min<std::int64_t>(std::llround(fraction * static_cast<double>(layers)), layers - 1);
}

Table resolve_layers(Table table, const std::string& prefix, const PluginSpec& plugin, const LayerContext& context) {
  for (const KeySpec& spec : plugin.parameters) {
    Entry* entry = is_layer(spec) ? table.find(spec.name) : nullptr;
    if (!entry || !is_relative_layer(entry->value)) continue;
    // A list where a number is wanted, and the reverse, is refused like any other.
    const bool list = spec.type == Type::integer_list;
    if (!is_auto(entry->value) && list != entry->value.is<Array>()) continue;
    Resolver(prefix, plugin, context).resolve(*entry, spec);
  }
  return table;
}

void check_layers(const Table& table, const std::string& prefix, const PluginSpec& plugin,
                  const LayerContext& context) {
  std::optional<std::int64_t> layers;  // of the model, asked for when the first parameter needs it
  for (const KeySpec& spec : plugin.parameters) {
    const Entry* entry = is_layer(spec) ? table.find(spec.name) : nullptr;
    const std::string key = prefix + "." + join_key({spec.name});
    if (!entry || context.model.empty() || context.check.failed.contains(key)) continue;
    if (!layers) {
      try {
        layers = context.catalog.model_shape(context.model).layers;
      } catch (const Error&) {
        return;
      }
    }
    const auto check = [&](const Value& value, const char* where, const char* what) {
      // What lies below 0 is the plugin's own: -1 is the last layer, or none.
      if (value.as<std::int64_t>() < *layers) return;
      context.check.add(value.position, key,
                        cat("found ", describe(value), where, ", expected ", what, " from 0 to ", *layers - 1,
                            ": the model has ", *layers, *layers == 1 ? " layer" : " layers"));
    };
    if (spec.type == Type::integer) {
      check(entry->value, "", "a layer");
    } else {
      for (Value item : entry->value.as<Array>()) {
        if (!item.position.source) item.position = entry->value.position;  // of a default
        check(item, " in the list", "layers");
      }
    }
  }
}

}  // namespace palimpsest::config
