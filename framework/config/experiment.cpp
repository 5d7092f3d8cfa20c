#include "config/experiment.hpp"

#include <algorithm>
#include <iterator>

#include "base/text.hpp"
#include "config/experiment_maker.hpp"

namespace palimpsest::config {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxNameBytes = 80;

bool is_file_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), allowed);
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

}  // namespace

void Maker::check_top_level() {
  std::vector<std::string> names;
  for (const auto& table : experiment_tables()) names.push_back(table.name);
  for (const auto& key : top_level_keys()) names.push_back(key.name);
  names.insert(names.end(), {"defaults", "extends", "sweep"});
  Table plain;
  for (const Entry& entry : root_.entries) {
    if (std::find(names.begin(), names.end(), entry.key) == names.end()) {
      const std::string near = did_you_mean(entry.key, names);
      check_.add(entry.key_position, join_key({entry.key}),
                 cat("found an unknown ", entry.value.is<Table>() ? "table" : "key", ", expected a known one",
                     near.empty() ? ": " + list_text(names) : near));
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
        check_.add(folder.position, "plugin_path",
                   cat("found ", describe(folder), ", expected a folder, and ", tried.front().string(),
                       " does not exist; build the plugin that belongs there, or correct the path"));
      }
      made_.plugin_path.push_back(found.empty() ? tried.front() : found);
    }
  }
}

const Table& Maker::section(const std::string& name) {
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

void Maker::read_experiment() {
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
  for (const auto& name : from.list<std::string>("stages")) {
    // One of them: the schema has checked it, and what it refused is no stage.
    const auto* kind = std::find(std::begin(kStageKinds), std::end(kStageKinds), name);
    if (kind != std::end(kStageKinds)) out.stages.push_back(static_cast<StageKind>(kind - std::begin(kStageKinds)));
  }
  const std::string output = from.text("output").empty() ? "results/" + out.name : from.text("output");
  out.output = (check_.locations.working / output).lexically_normal();
  Table& resolved = made_.resolved.find("experiment")->value.as<Table>();
  resolved.set("name", Value{out.name, place("experiment", "name")});
  resolved.set("output", Value{output, place("experiment", "output")});
}

void Maker::read_study() {
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
    made_.second_moments = {from.path("file"),
                            from.integer("tokens"),
                            from.text("dtype"),
                            from.integer("skip_first_tokens"),
                            from.integer("block"),
                            from.path("import"),
                            from.integer("layers_at_once")};
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
  made_.run = {from.integer("jobs"), from.integer("threads"), from.number("node_seconds"), from.integer("node_memory")};
}

void Maker::read_tuning() {
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

void Maker::read_training() {
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
  out.activation_checkpointing = from.boolean("activation_checkpointing");
  out.optimizer_state = from.text("optimizer_state");
  out.masters = from.text("masters");
}

bool is_device(std::string_view name) {
  if (name == "cpu" || name == "cuda") return true;
  const std::string_view digits = name.starts_with("cuda:") ? name.substr(5) : "";
  return !digits.empty() && digits.size() <= 3 && digits.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string device_type(const std::string& device) { return device.substr(0, device.find(':')); }

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

std::vector<std::pair<const char*, const PluginChoice*>> Experiment::plugins() const {
  std::vector<std::pair<const char*, const PluginChoice*>> chosen = {
      {"editor", &editor}, {"augmenter", &augmenter}, {"task", &task}, {"freeze_policy", &freeze_policy}};
  std::erase_if(chosen, [](const auto& one) { return one.second->id.empty(); });
  for (const auto& metric : metrics) chosen.emplace_back("metric", &metric);
  return chosen;
}

}  // namespace palimpsest::config
