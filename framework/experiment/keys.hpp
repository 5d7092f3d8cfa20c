// What every stored thing is addressed by: all that determines it, and nothing else.
//
// Digests of files are remembered in a KeyMaker, and those of large files in the store by path, size and time of
// change.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/sweep.hpp"
#include "experiment/catalog.hpp"
#include "experiment/store.hpp"
#include "plugin/registry.hpp"
#include "plugin/services/context.hpp"

namespace palimpsest::experiment {

// Where a cell's stages are in a chain: after how many stages, and for the isolated scope about which edited fact.
struct ChainPlace {
  std::size_t stages = 0;            // of the cell's list; 0: the base model
  std::optional<std::int64_t> fact;  // index among the edited facts; nothing: all of them, or none edited yet
};

// The stage that leads to a place, which is not the base model.
inline config::StageKind stage_to(const config::Experiment& experiment, const ChainPlace& place) {
  return experiment.experiment.stages.at(place.stages - 1);
}

// Whether a metric of the experiment opens files as a task does, dropping what the irrelevance filter drops and holding
// out what the experiment's seed draws. Such a metric has the parameters that a task has for it, `filter` and
// `validation_share` (sdk/dataset_task.hpp); one that has neither may not (workshop.cpp), so that nothing measured
// depends on what its key does not name.
bool metrics_read_as_tasks(const config::Experiment& experiment);

class KeyMaker {
 public:
  KeyMaker(plugin::Registry& registry, const Catalog& catalog, std::filesystem::path digest_cache)
      : registry_(&registry), catalog_(&catalog), digest_cache_(std::move(digest_cache)) {}

  // What the unedited model knows of the facts of the file.
  Key knowledge(const config::Experiment& experiment);
  // The second moment of one layer.
  Key second_moment(const config::Experiment& experiment, std::int64_t layer);
  // The lot: which facts are edited and which may be intrinsic.
  Key lot(const config::Cell& cell);
  // Who is intrinsic; `reference`: keys of the edits whose margins are matched (empty: no matching).
  Key roles(const config::Cell& cell, const std::vector<Key>& reference);
  // The model after the first `place.stages` stages. `moments`: layers the editor needs. `roles`: of every cell of the
  // experiment, since fine-tuning filters its data by all facts. What was measured on the way is not in it.
  Key stage(const config::Cell& cell, const ChainPlace& place, const std::vector<std::int64_t>& moments,
            const std::vector<Key>& roles);
  // Measurements of that model by all metrics of the cell, for these roles; `all_roles` as for a stage, and counting
  // only where a metric reads data as a task does.
  Key measure(const config::Cell& cell, const Key& stage, const Key& roles, const std::vector<Key>& all_roles);
  // The task's score of that model; `roles` as for a stage.
  Key score(const config::Cell& cell, const Key& stage, const std::vector<Key>& roles);
  // A fine-tuning and what the cell's metrics measured along it; `stage`: the model after it.
  Key tuned(const config::Cell& cell, const Key& stage, const Key& roles);
  Key cell(const config::Cell& cell, const std::vector<Key>& below);
  // A value that a plugin computes once (store/1). `own`: what the plugin and the model's weights give; `moments`: it
  // depends on the second moments.
  Key plugin_value(const config::Experiment& experiment, const plugin::StoreKey& own, bool moments);

  // The SHA-256 of a file, and of everything in a model's folder that determines the model.
  std::string file_digest(const std::filesystem::path& path);
  std::string model_digest(const std::filesystem::path& folder);

 private:
  // What filtered and split data follows from beside its file.
  void add_data(KeyBuilder& key, const config::Experiment& experiment, const std::vector<Key>& roles);
  // What the task's examples and their order follow from.
  void add_task(KeyBuilder& key, const config::Cell& cell, const std::vector<Key>& roles);
  KeyBuilder start(const char* what, const config::Experiment& experiment);
  // `name`: what its ingredients are called; empty: as the table.
  void add_plugin(KeyBuilder& key, const char* table, const config::PluginChoice& choice, std::string name = {});

  plugin::Registry* registry_;
  const Catalog* catalog_;
  std::filesystem::path digest_cache_;
  std::map<std::filesystem::path, std::string> digests_;
};

// The build and machine that numbers depend on: program, libtorch, CPU capability.
struct Machine {
  std::string version;  // of Palimpsest
  std::string sources;  // SHA-256 of the host's sources and of how they were compiled (cmake/write_sources.cmake)
  std::string torch_version;
  std::string cpu_capability;  // e.g. "AVX512"
};
Machine machine();

}  // namespace palimpsest::experiment
