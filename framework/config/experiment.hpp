// The typed, fully resolved experiment: what the rest of the program reads instead of TOML.
//
// Every field has its value, from the file or from the schema's default; strings with choices hold one of them (listed
// in experiment_schema.cpp and docs/configuration.md); paths are absolute and exist. Plain data, never changed after it
// is made.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/document.hpp"
#include "config/schema.hpp"

namespace palimpsest::config {

// The plugin id that means "do nothing", the default of [augmenter] and [freeze_policy].
inline constexpr const char* kNone = "none";

struct PathValue {
  std::string given;           // as the file says it: what results record
  std::filesystem::path path;  // absolute; empty when not given
  bool set() const { return !given.empty(); }
};

struct PluginChoice {
  std::string id;       // "" when the stages use no such plugin and the file names none
  std::string version;  // the plugin's own
  // Defaults filled; a parameter without default that nobody set is absent; paths absolute.
  std::map<std::string, Value> parameters;
  Position position;  // of the table, for later errors (a layer out of range)
};

// What a cell does to its model, one after the other.
enum class StageKind { kEdit, kFinetune, kReapply };
inline constexpr const char* kStageKinds[] = {"edit", "finetune", "reapply"};  // as files name them
constexpr const char* name_of(StageKind kind) { return kStageKinds[static_cast<std::size_t>(kind)]; }

struct ExperimentSection {
  std::string name;
  std::int64_t seed = 0;
  std::int64_t replicates = 0;
  bool swap_roles = false;
  std::vector<StageKind> stages;
  std::filesystem::path output;  // absolute folder; need not exist

  bool has(StageKind kind) const { return std::find(stages.begin(), stages.end(), kind) != stages.end(); }
};

struct ModelSection {
  PathValue path;
  std::string dtype, device;  // device: is_device()
};

struct FactsSection {
  PathValue file;
  std::string format, zsre_target;  // zsre_target "" unless the format is zsre
  bool known = false;
  double min_probability = 0;
  std::int64_t edited = 0, intrinsic = 0;
  std::string selection;
  double caliper = 0;  // nats
  std::int64_t first = 0, limit = 0;
};

struct FilterSection {
  std::string mode;
  bool targets_of_intrinsic = false;
};

struct SecondMomentsSection {
  PathValue file;  // text; not set: no second moments can be computed
  std::int64_t tokens = 0;
  std::string dtype;
  std::int64_t skip_first_tokens = 0, block = 0;
  PathValue import;                 // safetensors
  std::int64_t layers_at_once = 0;  // of one pass over the text; 0: all
};

struct EditSection {
  std::string scope, augment_as, target;
  std::int64_t batch_size = 0;     // facts of one call in scope batch; 0: all
  std::int64_t measure_every = 0;  // edited facts between two measurements of the lifelong curve; 0: none
};

struct TuningSection {
  std::string method;
  std::int64_t rank = 0;
  double alpha = 0, dropout = 0;
  std::vector<std::string> targets;  // roles of parameters
};

struct TrainingSection {
  std::string optimizer;
  double learning_rate = 0, weight_decay = 0, beta1 = 0, beta2 = 0, epsilon = 0;
  std::string schedule;
  double warmup = 0;  // share of the steps
  std::int64_t block_size = 0, batch_size = 0, accumulation = 0;
  std::int64_t max_steps = 0;  // 0: bounded by epochs alone
  double epochs = 0;           // 0: bounded by max_steps alone
  double clip_norm = 0;        // 0: off
  double stop_loss = 0, stop_gain_share = 0, stop_reference_gain = 0;
  std::int64_t patience = 0, evaluate_every = 0;
  std::string precision;
  std::int64_t validation_blocks = 0;
  std::vector<std::int64_t> measure_steps;
  std::int64_t measure_every = 0;
  std::vector<double> measure_epochs;
  std::string matmul;
  bool activation_checkpointing = false;
  std::string optimizer_state, masters;
};

struct RunSection {
  std::int64_t jobs = 0, threads = 0;
  double node_seconds = 0;       // 0: no bound
  std::int64_t node_memory = 0;  // MiB; 0: no bound
};

struct Experiment {
  ExperimentSection experiment;
  ModelSection model;
  FactsSection facts;
  FilterSection filter;
  SecondMomentsSection second_moments;
  EditSection edit;
  PluginChoice editor, augmenter, freeze_policy, task;
  std::vector<PluginChoice> metrics;
  TuningSection tuning;
  TrainingSection training;
  RunSection run;
  std::vector<std::filesystem::path> plugin_path;

  // All that are chosen, each with the name of its table: editor, augmenter, task, freeze policy, metrics. They point
  // into this.
  std::vector<std::pair<const char*, const PluginChoice*>> plugins() const;

  // All of it as one tree, defaults filled, paths as given and no machine's folder in it.
  Table resolved;
};

// "cpu", "cuda" or "cuda:N".
bool is_device(std::string_view name);
// "cuda" of "cuda:1". A number may depend on the kind of device, never on which of several like ones computed it.
std::string device_type(const std::string& device);

// The folders of `plugin_path`, for the caller to load plugins from before the rest is checked. Throws
// Error(kInvalidArgument).
std::vector<std::filesystem::path> plugin_folders(const Document& document, const Locations& locations);

// Checks `root`, a tree without [sweep], and makes the experiment of it. Problems go to `check`; with any, the result
// is not to be used. `document` gives the name and the place that whole-file problems point to.
Experiment make_experiment(const Table& root, const Document& document, const PluginCatalog& catalog, Check& check);

// canonical_toml of `resolved`: for hashing, for workers, for results.
std::string to_toml(const Experiment& experiment);

}  // namespace palimpsest::config
