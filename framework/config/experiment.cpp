#include "config/experiment.hpp"

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "config/experiment_schema.hpp"
#include "config/layers.hpp"

namespace palimpsest::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxNameBytes = 80;

bool is_file_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), allowed);
}

bool is_device(const std::string& device) {
  if (device == "cpu" || device == "cuda") return true;
  const std::string digits = device.starts_with("cuda:") ? device.substr(5) : "";
  return !digits.empty() && digits.size() <= 3 && digits.find_first_not_of("0123456789") == std::string::npos;
}

// A checked table, read by name. What is absent (a required key nobody set, a key without default) reads as zero or
// empty.
class Reader {
 public:
  Reader(const Table& table, std::string prefix, const Check& check)
      : table_(table), prefix_(std::move(prefix)), check_(check) {}

  std::string text(std::string_view name) const { return get<std::string>(name); }
  std::int64_t integer(std::string_view name) const { return get<std::int64_t>(name); }
  double number(std::string_view name) const { return get<double>(name); }
  bool boolean(std::string_view name) const { return get<bool>(name); }
  template <typename T>
  std::vector<T> list(std::string_view name) const {
    std::vector<T> items;
    for (const Value& item : get<Array>(name)) items.push_back(item.as<T>());
    return items;
  }
  PathValue path(std::string_view name) const {
    const auto found = check_.found.find(cat(prefix_, ".", name));
    return {text(name), found == check_.found.end() ? fs::path() : found->second};
  }

 private:
  template <typename T>
  T get(std::string_view name) const {
    const Entry* entry = table_.find(name);
    return entry && entry->value.is<T>() ? entry->value.as<T>() : T{};
  }

  const Table& table_;
  std::string prefix_;
  const Check& check_;
};

// Makes one experiment: checks each table, then what several keys say together.
class Maker {
 public:
  Maker(const Table& root, const Document& document, const PluginCatalog& catalog, Check& check)
      : root_(root), document_(document), catalog_(catalog), check_(check), file_{document.source, 1, 1} {}

  Experiment make() {
    check_top_level();
    read_experiment();
    read_study();
    read_training();
    read_plugins();
    check_defaults();
    check_stages();
    check_facts();
    check_edit();
    check_training();
    return std::move(made_);
  }

 private:
  bool uses(std::string_view stage) const {
    const auto& stages = made_.experiment.stages;
    return std::find(stages.begin(), stages.end(), stage) != stages.end();
  }

  bool clean(std::initializer_list<const char*> keys) const {
    return std::none_of(keys.begin(), keys.end(), [&](const char* key) { return check_.failed.contains(key); });
  }

  // Where `table.key` was set, or else the table, or else the file.
  Position place(std::string_view table, std::string_view key) const {
    const Entry* found = root_.find(table);
    if (!found || !found->value.is<Table>()) return file_;
    const Entry* entry = found->value.as<Table>().find(key);
    return entry ? entry->value.position : found->value.position;
  }

  // A problem of keys that are fine one by one.
  template <typename... Parts>
  void add(std::string_view table, std::string_view key, const Parts&... parts) {
    check_.add(place(table, key), cat(table, ".", key), cat(parts...));
  }

  void check_top_level() {
    std::vector<std::string> names;
    for (const auto& table : experiment_tables()) names.push_back(table.name);
    for (const auto& key : top_level_keys()) names.push_back(key.name);
    names.insert(names.end(), {"defaults", "extends", "sweep"});
    Table plain;
    for (const Entry& entry : root_.entries) {
      if (std::find(names.begin(), names.end(), entry.key) == names.end()) {
        std::string all;
        for (const auto& name : names) all += cat(all.empty() ? "" : ", ", name);
        const std::string near = did_you_mean(entry.key, names);
        check_.add(entry.key_position, join_key({entry.key}),
                   cat("found an unknown ", entry.value.is<Table>() ? "table" : "key", ", expected a known one",
                       near.empty() ? ": " + all : near));
      }
      for (const auto& key : top_level_keys()) {
        if (key.name == entry.key) plain.set(entry.key, entry.value, entry.key_position);
      }
    }
    const Table checked = check_table(plain, file_, "", top_level_keys(), check_);
    for (const Entry& entry : checked.entries) made_.resolved.set(entry.key, entry.value, entry.key_position);
    if (const Entry* folders = checked.find("plugin_path")) {
      for (const Value& folder : folders->value.as<Array>()) {
        std::vector<fs::path> tried;
        const fs::path found = find_path(folder.as<std::string>(), folder.position, check_.locations, "", &tried);
        if (found.empty() && check_.files) {
          check_.add(
              folder.position, "plugin_path",
              cat("found ", describe(folder), ", expected an existing folder; looked for ", tried.front().string()));
        }
        made_.plugin_path.push_back(found.empty() ? tried.front() : found);
      }
    }
  }

  // [name] checked, defaults filled; a missing table is an empty one.
  const Table& section(const std::string& name) {
    const Entry* entry = root_.find(name);
    Table empty;
    const Table* table = &empty;
    if (entry && !entry->value.is<Table>()) {
      check_.add(entry->value.position, name, cat("found ", describe(entry->value), ", expected a table [", name, "]"));
    } else if (entry) {
      table = &entry->value.as<Table>();
    }
    const Position where = entry ? entry->value.position : file_;
    Table checked = check_table(*table, where, name, experiment_table(name).keys, check_);
    return made_.resolved.set(name, Value{std::move(checked), where}, where).value.as<Table>();
  }

  void read_experiment() {
    // Not a reference into `resolved`, which grows.
    Table table = section("experiment");
    ExperimentSection& out = made_.experiment;
    const Reader from(table, "experiment", check_);
    out.name = from.text("name").empty() ? document_.file.stem().string() : from.text("name");
    if (!is_file_name(out.name)) {
      add("experiment", "name", "found the name ", inline_toml(Value{out.name, {}}), ", expected 1 to ", kMaxNameBytes,
          " letters, digits, `.`, `_` and `-`, the first a letter, digit or `_`; set experiment.name");
    }
    out.seed = from.integer("seed");
    out.replicates = from.integer("replicates");
    out.swap_roles = from.boolean("swap_roles");
    out.stages = from.list<std::string>("stages");
    const std::string output = from.text("output").empty() ? "results/" + out.name : from.text("output");
    out.output = (check_.locations.working / output).lexically_normal();
    Table& resolved = made_.resolved.find("experiment")->value.as<Table>();
    resolved.set("name", Value{out.name, place("experiment", "name")});
    resolved.set("output", Value{output, place("experiment", "output")});
  }

  void read_study() {
    {
      const Reader from(section("model"), "model", check_);
      made_.model = {from.path("path"), from.text("dtype"), from.text("device")};
      if (clean({"model.device"}) && !is_device(made_.model.device)) {
        add("model", "device", "found the string ", inline_toml(Value{made_.model.device, {}}),
            ", expected \"cpu\", \"cuda\" or \"cuda:N\"");
      }
    }
    {
      const Reader from(section("facts"), "facts", check_);
      made_.facts = {from.path("file"),
                     from.text("format"),
                     from.text("zsre_target"),
                     from.boolean("known"),
                     from.number("min_probability"),
                     from.integer("edited"),
                     from.integer("intrinsic"),
                     from.text("selection"),
                     from.number("caliper"),
                     from.integer("first"),
                     from.integer("limit")};
    }
    {
      const Reader from(section("filter"), "filter", check_);
      made_.filter = {from.text("mode"), from.boolean("targets_of_intrinsic")};
    }
    {
      const Reader from(section("second_moments"), "second_moments", check_);
      made_.second_moments = {from.path("file"),     from.integer("tokens"),
                              from.text("dtype"),    from.integer("skip_first_tokens"),
                              from.integer("block"), from.path("import")};
      const auto& moments = made_.second_moments;
      if (clean({"second_moments.skip_first_tokens", "second_moments.block"}) &&
          moments.skip_first_tokens >= moments.block) {
        add("second_moments", "skip_first_tokens", "found the integer ", moments.skip_first_tokens,
            ", expected less than second_moments.block, which is ", moments.block);
      }
    }
    {
      const Reader from(section("edit"), "edit", check_);
      made_.edit = {from.text("scope"), from.text("augment_as"), from.text("target"), from.integer("batch_size"),
                    from.integer("measure_every")};
    }
    read_tuning();
    const Reader from(section("run"), "run", check_);
    made_.run = {from.integer("jobs"), from.integer("threads"), from.number("node_seconds"),
                 from.integer("node_memory")};
  }

  void read_tuning() {
    const Reader from(section("tuning"), "tuning", check_);
    made_.tuning = {from.text("method"), from.integer("rank"), from.number("alpha"), from.number("dropout"),
                    from.list<std::string>("targets")};
    const auto& targets = made_.tuning.targets;
    if (!clean({"tuning.targets"})) return;
    if (targets.empty()) add("tuning", "targets", "found an empty list, expected at least one role");
    if (std::set<std::string>(targets.begin(), targets.end()).size() != targets.size()) {
      add("tuning", "targets", "found a role a second time, expected each once");
    }
  }

  void read_training() {
    const Reader from(section("training"), "training", check_);
    TrainingSection& out = made_.training;
    out.optimizer = from.text("optimizer");
    out.learning_rate = from.number("learning_rate");
    out.weight_decay = from.number("weight_decay");
    out.beta1 = from.number("beta1");
    out.beta2 = from.number("beta2");
    out.epsilon = from.number("epsilon");
    out.schedule = from.text("schedule");
    out.warmup = from.number("warmup");
    out.block_size = from.integer("block_size");
    out.batch_size = from.integer("batch_size");
    out.accumulation = from.integer("accumulation");
    out.max_steps = from.integer("max_steps");
    out.epochs = from.number("epochs");
    out.clip_norm = from.number("clip_norm");
    out.stop_loss = from.number("stop_loss");
    out.stop_gain_share = from.number("stop_gain_share");
    out.stop_reference_gain = from.number("stop_reference_gain");
    out.patience = from.integer("patience");
    out.evaluate_every = from.integer("evaluate_every");
    out.precision = from.text("precision");
    out.validation_blocks = from.integer("validation_blocks");
    out.measure_steps = from.list<std::int64_t>("measure_steps");
    out.measure_every = from.integer("measure_every");
    out.measure_epochs = from.list<double>("measure_epochs");
    out.matmul = from.text("matmul");
  }

  // [defaults.KIND.ID] under the plugin table that chooses ID.
  Table with_defaults(const Table& table, const std::string& kind, const std::string& default_id) {
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

  LayerContext layer_context(const std::string& kind) const {
    const bool known = !check_.failed.contains("model.path");
    return {kind, known ? made_.model.path.path : fs::path(), catalog_, check_};
  }

  PluginChoice choose(const Table& table, const Position& where, const std::string& prefix, const std::string& kind,
                      const std::string& default_id, Table& resolved) {
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

  PluginChoice plugin(const std::string& name, const std::string& default_id, bool needed) {
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

  void read_plugins() {
    // An unknown stage hides which plugins are needed: then only those that the file names are checked.
    made_.editor = plugin("editor", "", uses("edit"));
    made_.augmenter = plugin("augmenter", kNone, uses("edit"));
    made_.task = plugin("task", "", uses("finetune"));
    made_.freeze_policy = plugin("freeze_policy", kNone, uses("finetune"));

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

  // [defaults] of plugins that nothing chooses here: they may be chosen elsewhere, and are checked all the same.
  void check_defaults() {
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
        std::string all;
        for (const auto& name : names) all += cat(all.empty() ? "" : ", ", name);
        check_.add(kind.key_position, kind_key,
                   cat("found an unknown kind of plugin, expected one of ", all, did_you_mean(kind.key, names)));
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

  void check_stages() {
    if (!clean({"experiment.stages", "experiment"})) return;
    const auto& stages = made_.experiment.stages;
    if (stages.empty()) {
      add("experiment", "stages", "found an empty list, expected at least one of \"edit\", \"finetune\", \"reapply\"");
    }
    const auto edit = std::find(stages.begin(), stages.end(), "edit");
    const auto reapply = std::find(stages.begin(), stages.end(), "reapply");
    if (reapply < edit) {
      add("experiment", "stages",
          "found \"reapply\" before any \"edit\", expected an \"edit\" whose updates it can add again");
    }
  }

  void check_facts() {
    const FactsSection& facts = made_.facts;
    if (clean({"facts.format", "facts.zsre_target"})) {
      const bool given = !facts.zsre_target.empty();
      if (facts.format == "zsre" && !given) {
        add("facts", "zsre_target",
            "found nothing, expected one of \"answers\", \"alt\": required with format = \"zsre\"");
      } else if (facts.format != "zsre" && given) {
        add("facts", "zsre_target", "found ", inline_toml(Value{facts.zsre_target, {}}),
            ", expected nothing: it belongs to format = \"zsre\", and the format is \"", facts.format, "\"");
      }
    }
    if (clean({"facts.selection", "facts.intrinsic", "facts.edited"}) && facts.selection == "matched" &&
        (facts.intrinsic == 0 || facts.edited == 0)) {
      add("facts", "selection", "found \"matched\", expected facts.edited and facts.intrinsic above 0 with it");
    }
    if (clean({"facts.limit", "facts.edited", "facts.intrinsic"}) && facts.limit > 0 &&
        facts.edited + facts.intrinsic > facts.limit) {
      add("facts", "limit", "found the integer ", facts.limit,
          ", expected 0 or at least facts.edited + facts.intrinsic, ", facts.edited + facts.intrinsic);
    }
  }

  void check_edit() {
    const EditSection& edit = made_.edit;
    if (!clean({"edit.scope"})) return;
    if (clean({"edit.batch_size"}) && edit.batch_size > 0 && edit.scope != "batch") {
      add("edit", "batch_size", "found the integer ", edit.batch_size, " with scope = \"", edit.scope,
          "\", expected it with scope = \"batch\", or 0");
    }
    if (clean({"edit.measure_every"}) && edit.measure_every > 0 && edit.scope == "isolated") {
      add("edit", "measure_every", "found the integer ", edit.measure_every,
          " with scope = \"isolated\", expected it with scope = \"sequential\" or \"batch\", or 0");
    }
  }

  void check_training() {
    if (!uses("finetune")) return;
    const TrainingSection& training = made_.training;
    if (clean({"training.max_steps", "training.epochs"}) && training.max_steps == 0 && training.epochs == 0) {
      add("training", "max_steps", "found 0 here and in training.epochs, expected one of them above 0");
    }
    check_ascending("measure_steps", training.measure_steps);
    check_ascending("measure_epochs", training.measure_epochs);
    if (clean({"training.stop_gain_share", "training.stop_reference_gain"}) &&
        (training.stop_gain_share > 0) != (training.stop_reference_gain > 0)) {
      const bool share = training.stop_gain_share > 0;
      add("training", share ? "stop_gain_share" : "stop_reference_gain", "found a value above 0, expected training.",
          share ? "stop_reference_gain" : "stop_gain_share", " above 0 with it");
    }
    for (const char* name : {"stop_loss", "stop_gain_share", "patience"}) {
      const Entry* entry = made_.resolved.find("training")->value.as<Table>().find(name);
      if (!entry || !clean({"training.evaluate_every"}) || check_.failed.contains(cat("training.", name))) continue;
      const bool on = entry->value.is<double>() ? entry->value.as<double>() > 0 : entry->value.as<std::int64_t>() > 0;
      if (on && training.evaluate_every == 0) {
        add("training", name, "found a value above 0, expected training.evaluate_every above 0 with it");
      }
    }
  }

  template <typename T>
  void check_ascending(const char* name, const std::vector<T>& items) {
    for (std::size_t i = 1; i < items.size(); ++i) {
      if (items[i - 1] < items[i]) continue;
      add("training", name, "found ", items[i], " after ", items[i - 1],
          ", expected an ascending list without repetition");
      return;
    }
  }

  const Table& root_;
  const Document& document_;
  const PluginCatalog& catalog_;
  Check& check_;
  Position file_;
  std::set<std::pair<std::string, std::string>> defaults_used_;  // kind and id that a plugin table chooses
  Experiment made_;
};

}  // namespace

std::vector<fs::path> plugin_folders(const Document& document, const Locations& locations) {
  std::vector<fs::path> folders;
  Check check{locations, true, {}, {}, {}};
  Table only;
  if (const Entry* entry = document.root.find("plugin_path")) only.set(entry->key, entry->value, entry->key_position);
  const Table checked = check_table(only, Position{document.source, 1, 1}, "", top_level_keys(), check);
  for (const Value& folder : checked.find("plugin_path")->value.as<Array>()) {
    const fs::path found = find_path(folder.as<std::string>(), folder.position, locations, "");
    // One that does not exist is make_experiment's to report, with all other problems.
    if (!found.empty()) folders.push_back(found);
  }
  if (!check.problems.empty()) fail(ErrorCode::kInvalidArgument, text_of(check.problems));
  return folders;
}

Experiment make_experiment(const Table& root, const Document& document, const PluginCatalog& catalog, Check& check) {
  return Maker(root, document, catalog, check).make();
}

std::string to_toml(const Experiment& experiment) { return canonical_toml(experiment.resolved); }

}  // namespace palimpsest::config
