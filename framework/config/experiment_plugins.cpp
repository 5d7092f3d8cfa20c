// Tables of plugins: [editor], [task], ... and [[metric]], with [defaults.KIND.ID] below them.
#include "base/text.hpp"
#include "config/experiment_maker.hpp"

namespace palimpsest::config {

namespace fs = std::filesystem;

Table Maker::with_defaults(const Table& table, const std::string& kind, const std::string& default_id) {
  const Entry* id = table.find("id");
  const std::string chosen = !id ? default_id : id->value.is<std::string>() ? id->value.as<std::string>() : "";
  defaults_used_.insert({kind, chosen});
  const Entry* at = root_.find("defaults");
  for (const std::string& key : {kind, chosen}) {
    if (at && at->value.is<Table>()) at = at->value.as<Table>().find(key);
  }
  if (!at || !at->value.is<Table>() || at->key != chosen) return table;
  Table made = at->value.as<Table>();
  made.erase("id");
  merge(made, table);
  return made;
}

LayerContext Maker::layer_context(const std::string& kind) const {
  const bool known = !check_.failed.contains("model.path");
  return {kind, known ? made_.model.path.path : fs::path(), catalog_, check_};
}

PluginChoice Maker::choose(const Table& table, const Position& where, const std::string& prefix,
                           const std::string& kind, const std::string& default_id, Table& resolved) {
  const PluginSpec* plugin = nullptr;
  Table given = with_defaults(table, kind, default_id);
  if (const Entry* id = given.find("id"); id && id->value.is<std::string>()) {
    if (const PluginSpec* spec = catalog_.find(kind, id->value.as<std::string>()))
      given = resolve_layers(std::move(given), prefix, *spec, layer_context(kind));
  }
  resolved = check_plugin_table(given, where, prefix, kind, default_id, catalog_, check_, &plugin);
  PluginChoice choice;
  choice.position = where;
  if (!plugin) return choice;
  check_layers(resolved, prefix, *plugin, layer_context(kind));
  choice.id = plugin->id;
  choice.version = plugin->version;
  for (const Entry& entry : resolved.entries) {
    if (entry.key == "id") continue;
    Value value = entry.value;
    const auto found = check_.found.find(prefix + "." + join_key({entry.key}));
    if (found != check_.found.end()) value.data = found->second.string();
    choice.parameters.emplace(entry.key, std::move(value));
  }
  return choice;
}

PluginChoice Maker::plugin(const std::string& name, const std::string& default_id, bool needed) {
  const Entry* entry = root_.find(name);
  if (!entry && !needed) return {};
  if (entry && !entry->value.is<Table>()) {
    check_.add(entry->value.position, name, cat("found ", describe(entry->value), ", expected a table [", name, "]"));
    return {};
  }
  const Position where = entry ? entry->value.position : file_;
  Table resolved;
  PluginChoice choice = choose(entry ? entry->value.as<Table>() : Table{}, where, name, name, default_id, resolved);
  made_.resolved.set(name, Value{std::move(resolved), where}, where);
  return choice;
}

void Maker::read_plugins() {
  // An unknown stage hides which plugins are needed: then only those that the file names are checked.
  const bool edits = made_.experiment.has(StageKind::kEdit), tunes = made_.experiment.has(StageKind::kFinetune);
  made_.editor = plugin("editor", "", edits);
  made_.augmenter = plugin("augmenter", kNone, edits);
  made_.task = plugin("task", "", tunes);
  made_.freeze_policy = plugin("freeze_policy", kNone, tunes);

  const Entry* metrics = root_.find("metric");
  if (!metrics || (metrics->value.is<Array>() && metrics->value.as<Array>().empty())) {
    check_.add(metrics ? metrics->value.position : file_, "metric",
               "found none, expected at least one [[metric]] table");
    return;
  }
  if (!metrics->value.is<Array>()) {
    check_.add(metrics->value.position, "metric",
               cat("found ", describe(metrics->value), ", expected a list of tables [[metric]]"));
    return;
  }
  Array resolved_list;
  std::set<std::string> seen;
  const auto& items = metrics->value.as<Array>();
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string prefix = cat("metric[", i, "]");
    if (!items[i].is<Table>()) {
      check_.add(items[i].position, prefix, cat("found ", describe(items[i]), ", expected a table [[metric]]"));
      continue;
    }
    Table resolved;
    PluginChoice choice = choose(items[i].as<Table>(), items[i].position, prefix, "metric", "", resolved);
    resolved_list.push_back(Value{std::move(resolved), items[i].position});
    if (!choice.id.empty() && !seen.insert(choice.id).second) {
      check_.add(items[i].as<Table>().find("id")->value.position, prefix + ".id",
                 cat("found \"", choice.id, "\" a second time, expected each metric once"));
    }
    made_.metrics.push_back(std::move(choice));
  }
  made_.resolved.set("metric", Value{std::move(resolved_list), metrics->value.position}, metrics->key_position);
}

void Maker::check_defaults() {
  const Entry* defaults = root_.find("defaults");
  if (!defaults) return;
  const auto tables = [&](const Entry& entry, const std::string& key, const char* what) -> const Table* {
    if (entry.value.is<Table>()) return &entry.value.as<Table>();
    check_.add(entry.value.position, key, cat("found ", describe(entry.value), ", expected ", what));
    return nullptr;
  };
  const Table* kinds = tables(*defaults, "defaults", "tables [defaults.KIND.ID]");
  if (!kinds) return;
  std::vector<std::string> names;
  for (const TableSpec& table : experiment_tables()) {
    if (table.plugin) names.push_back(table.name);
  }
  for (const Entry& kind : kinds->entries) {
    const std::string kind_key = cat("defaults.", join_key({kind.key}));
    if (std::find(names.begin(), names.end(), kind.key) == names.end()) {
      check_.add(
          kind.key_position, kind_key,
          cat("found an unknown kind of plugin, expected one of ", list_text(names), did_you_mean(kind.key, names)));
      continue;
    }
    const Table* ids = tables(kind, kind_key, "tables by id of a plugin");
    if (!ids) continue;
    for (const Entry& id : ids->entries) {
      const std::string key = cat(kind_key, ".", join_key({id.key}));
      const Table* parameters = tables(id, key, "a table of parameters");
      if (!parameters) continue;
      const PluginSpec* plugin = catalog_.find(kind.key, id.key);
      if (!plugin) {
        check_.add(id.key_position, key,
                   cat("found an unknown ", kind.key, ", expected an available one",
                       did_you_mean(id.key, catalog_.available(kind.key))));
      }
      if (!plugin || defaults_used_.contains({kind.key, id.key})) continue;
      std::vector<KeySpec> specs = plugin->parameters;
      for (KeySpec& spec : specs) {
        spec.required = false;
        spec.default_value.reset();
      }
      check_table(resolve_layers(*parameters, key, *plugin, layer_context(kind.key)), id.value.position, key, specs,
                  check_);
    }
  }
}

}  // namespace palimpsest::config
