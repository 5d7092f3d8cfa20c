#include "experiment/keys.hpp"

#include <ATen/ATen.h>
#include <ATen/Version.h>
#include <sys/stat.h>
#include <torch/headeronly/version.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "sources.hpp"

namespace palimpsest::experiment {
namespace {

std::string section(const config::Experiment& experiment, std::string_view name) {
  const auto* entry = experiment.resolved.find(name);
  if (entry == nullptr) return "";
  return config::inline_toml(entry->value);
}

// The ingredients of a key below, by name, so that a miss names what differs and not only that something does.
void add_ingredients(KeyBuilder& key, const std::string& prefix, const Key& below) {
  for (const auto& [name, text] : below.ingredients) key.add(cat(prefix, name), text);
}

// Size, time of change and identity of a file: what tells that it is still the one that was read.
std::string stamp_of(const std::filesystem::path& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) fail(ErrorCode::kNotFound, path.string(), " does not exist");
  return cat(path.string(), "|", s.st_size, "|", s.st_mtim.tv_sec, ".", s.st_mtim.tv_nsec, "|", s.st_dev, ":",
             s.st_ino);
}

}  // namespace

Machine machine() {
  return {PALIMPSEST_PROGRAM_VERSION, PALIMPSEST_SOURCES_SHA256, TORCH_VERSION, at::get_cpu_capability()};
}

bool metrics_read_as_tasks(const config::Experiment& experiment) {
  return std::any_of(experiment.metrics.begin(), experiment.metrics.end(), [](const config::PluginChoice& metric) {
    return metric.parameters.contains("filter") || metric.parameters.contains("validation_share");
  });
}

std::string KeyMaker::file_digest(const std::filesystem::path& path) {
  if (const auto known = digests_.find(path); known != digests_.end()) return known->second;
  std::string digest;
  // Large files are read once, not at every start of a worker.
  if (std::filesystem::file_size(path) > (std::size_t{1} << 22)) {
    const auto remembered = digest_cache_ / sha256_hex(stamp_of(path));
    if (std::filesystem::exists(remembered)) {
      digest = read_file(remembered);
    } else {
      digest = sha256_file(path);
      write_file_atomically(remembered, digest);
    }
  } else {
    digest = sha256_file(path);
  }
  return digests_[path] = digest;
}

std::string KeyMaker::model_digest(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string extension = entry.path().extension();
    if (extension == ".safetensors" || extension == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  Sha256 hash;
  for (const auto& file : files) {
    // Where a model came from does not change what it computes.
    if (file.filename() == "PROVENANCE.json") continue;
    hash.field(file.filename().string()).field(file_digest(file));
  }
  return hash.hex();
}

KeyBuilder KeyMaker::start(const char* what, const config::Experiment& experiment) {
  const Machine here = machine();
  KeyBuilder key;
  key.add("what", what)
      .add("program", here.sources)
      .add("libtorch", here.torch_version)
      .add("cpu capability", here.cpu_capability)
      .add("threads", experiment.run.threads)
      .add("model.dtype", experiment.model.dtype)
      // Like devices compute alike: whichever of them ran it, it is the same stage.
      .add("model.device", config::device_type(experiment.model.device))
      .add("model", model_digest(experiment.model.path.path));
  return key;
}

void KeyMaker::add_plugin(KeyBuilder& key, const char* table, const config::PluginChoice& choice, std::string name) {
  if (name.empty()) name = table;
  if (choice.id.empty()) {
    key.add(name, "");
    return;
  }
  const plugin::Plugin plugin = registry_->find(abi_kind(table), choice.id);
  const config::PluginSpec* spec = catalog_->find(table, choice.id);
  key.add(name, choice.id).add(name + " version", choice.version).add(name + " library", plugin.library->sha256());
  // Each by its own name, so that a miss says which one differs.
  for (const auto& [parameter, value] : choice.parameters) {
    const auto described = std::find_if(spec->parameters.begin(), spec->parameters.end(),
                                        [&](const auto& k) { return k.name == parameter; });
    // A file counts by what it holds, not by where it lies.
    const bool is_path = described != spec->parameters.end() && described->type == config::Type::path;
    const bool named = is_path && !value.as<std::string>().empty();
    key.add(cat(name, ".", parameter),
            named ? "sha256:" + file_digest(value.as<std::string>()) : config::inline_toml(value));
  }
}

Key KeyMaker::knowledge(const config::Experiment& e) {
  return start("knowledge", e)
      .add("facts", file_digest(e.facts.file.path))
      .add("facts.format", e.facts.format)
      .add("facts.zsre_target", e.facts.zsre_target)
      .add("facts.first", e.facts.first)
      .add("facts.limit", e.facts.limit)
      .build();
}

Key KeyMaker::second_moment(const config::Experiment& e, std::int64_t layer) {
  KeyBuilder key = start("second_moment", e);
  const config::SecondMomentsSection& s = e.second_moments;
  if (s.import.set()) {
    key.add("import", file_digest(s.import.path));
  } else {
    if (!s.file.set()) {
      fail(ErrorCode::kInvalidArgument, "the editor needs second moments of layer ", layer,
           ", and second_moments.file names no text to compute them from (or second_moments.import a file that has "
           "them)");
    }
    key.add("text", file_digest(s.file.path))
        .add("tokens", s.tokens)
        .add("dtype", s.dtype)
        .add("skip_first_tokens", s.skip_first_tokens)
        .add("block", s.block);
  }
  return key.add("layer", layer).build();
}

Key KeyMaker::lot(const config::Cell& cell) {
  const config::FactsSection& f = cell.experiment.facts;
  return KeyBuilder()
      .add("what", "lot")
      .add("knowledge", knowledge(cell.experiment))
      .add("roles_seed", std::to_string(cell.roles_seed))
      .add("swapped", cell.swapped)
      .add("facts.known", f.known)
      .add("facts.min_probability", f.min_probability)
      .add("facts.edited", f.edited)
      .add("facts.intrinsic", f.intrinsic)
      .add("facts.selection", f.selection)
      .build();
}

Key KeyMaker::roles(const config::Cell& cell, const std::vector<Key>& reference) {
  KeyBuilder key;
  key.add("what", "roles").add("facts.caliper", cell.experiment.facts.caliper);
  // A lot does not depend on it, nor do its edits.
  if (cell.experiment.facts.selection == "matched") key.add("paired", cell.paired);
  add_ingredients(key, "lot.", lot(cell));
  for (std::size_t i = 0; i < reference.size(); ++i) key.add(cat("edit ", i), reference[i]);
  return key.build();
}

Key KeyMaker::stage(const config::Cell& cell, const ChainPlace& place, const std::vector<std::int64_t>& moments,
                    const std::vector<Key>& roles) {
  const config::Experiment& e = cell.experiment;
  if (place.stages == 0) return start("base", e).build();
  const config::StageKind kind = stage_to(e, place);
  KeyBuilder key = start("stage", e);
  key.add("format", "2");  // of what a stage stores: 2 has the counts of tokens
  key.add("stage", config::name_of(kind)).add("below", stage(cell, {place.stages - 1, place.fact}, moments, roles));
  if (kind == config::StageKind::kEdit) {
    key.add("fact", place.fact.value_or(-1)).add("seed", std::to_string(cell.seed));
    add_ingredients(key, "lot.", lot(cell));
    key.add("edit.scope", e.edit.scope)
        .add("edit.augment_as", e.edit.augment_as)
        .add("edit.batch_size", e.edit.batch_size)
        .add("edit.measure_every", e.edit.measure_every)
        .add("edit.target", e.edit.target);
    add_plugin(key, "editor", e.editor);
    add_plugin(key, "augmenter", e.augmenter);
    for (const std::int64_t layer : moments) key.add(cat("second moment of layer ", layer), second_moment(e, layer));
  } else if (kind == config::StageKind::kFinetune) {
    key.add("training", section(e, "training")).add("tuning", section(e, "tuning"));
    add_task(key, cell, roles);
    add_plugin(key, "freeze_policy", e.freeze_policy);
  }
  return key.build();
}

Key KeyMaker::measure(const config::Cell& cell, const Key& stage, const Key& roles, const std::vector<Key>& all_roles) {
  KeyBuilder key = start("measure", cell.experiment);
  key.add("stage", stage).add("roles", roles).add("seed", std::to_string(cell.seed));
  key.add("edit.target", cell.experiment.edit.target);  // what the edited facts are judged by
  for (std::size_t i = 0; i < cell.experiment.metrics.size(); ++i) {
    add_plugin(key, "metric", cell.experiment.metrics[i], cat("metric ", i));
  }
  if (metrics_read_as_tasks(cell.experiment)) add_data(key, cell.experiment, all_roles);
  return key.build();
}

void KeyMaker::add_data(KeyBuilder& key, const config::Experiment& e, const std::vector<Key>& roles) {
  // The experiment's seed draws the held-out sample of all cells.
  key.add("experiment.seed", e.experiment.seed).add("filter", section(e, "filter"));
  for (std::size_t i = 0; i < roles.size(); ++i) key.add(cat("facts of the experiment ", i), roles[i]);
}

void KeyMaker::add_task(KeyBuilder& key, const config::Cell& cell, const std::vector<Key>& roles) {
  const config::Experiment& e = cell.experiment;
  key.add("seed", std::to_string(cell.seed));  // orders the data
  add_data(key, e, roles);
  add_plugin(key, "task", e.task);
}

Key KeyMaker::score(const config::Cell& cell, const Key& stage, const std::vector<Key>& roles) {
  KeyBuilder key = start("score", cell.experiment);
  key.add("stage", stage);
  add_task(key, cell, roles);
  return key.build();
}

Key KeyMaker::tuned(const config::Cell& cell, const Key& stage, const Key& roles) {
  KeyBuilder key;
  key.add("what", "tuned");
  add_ingredients(key, "stage.", stage);
  // The facts of the experiment are in the stage's key.
  add_ingredients(key, "measure.", measure(cell, stage, roles, {}));
  return key.build();
}

Key KeyMaker::cell(const config::Cell& cell, const std::vector<Key>& below) {
  KeyBuilder key;
  key.add("what", "cell").add("cell", config::to_toml(cell));
  for (std::size_t i = 0; i < below.size(); ++i) key.add(cat("part ", i), below[i]);
  return key.build();
}

Key KeyMaker::plugin_value(const config::Experiment& e, const plugin::StoreKey& own, bool moments) {
  KeyBuilder key = start("plugin_value", e);
  // Of no layer: the value may use any.
  if (moments) add_ingredients(key, "second_moments.", second_moment(e, -1));
  for (const auto& [name, text] : own) key.add(name, text);
  return key.build();
}

}  // namespace palimpsest::experiment
