// What stands behind the `palimpsest_host` of one instance, and behind the opaque objects of the ABI.
//
// The experiment fills a Session once a process; every instance gets a HostContext of its own that points to it.
// Objects here outlive the instance. One thread at a time, but for cancel and log.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.hpp"
#include "data/fact.hpp"
#include "model/cache.hpp"
#include "model/decoder.hpp"
#include "model/model.hpp"
#include "model/parameters.hpp"
#include "model/second_moment.hpp"
#include "model/update.hpp"
#include "palimpsest/palimpsest.h"

namespace palimpsest::plugin {

// A dataset as dataset/1 shows it: rows of text columns in two splits.
struct TextDataset {
  // [split][row][column]
  std::vector<std::vector<std::string>> train, validation;
  const std::vector<std::vector<std::string>>& rows(palimpsest_split split) const {
    return split == PALIMPSEST_TRAIN ? train : validation;
  }
};

struct DatasetRequest {
  std::string path;
  std::vector<std::string> columns;
  double validation_share = 0;
  bool filter = false;
};

// Content of a stored value, by name, and what its key is made of beside the experiment's own: store/1.
struct StoreEntry {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::vector<std::pair<std::string, std::string>> texts;
};
using StoreKey = std::vector<std::pair<std::string, std::string>>;

// How a Session gets an entry.
using StoreFunction =
    std::function<StoreEntry(const StoreKey& key, bool second_moments, const std::function<StoreEntry()>& compute)>;
// One that keeps the entries in memory, for tests without an experiment.
StoreFunction values_in_memory();

// What a process offers to all its instances. Members may be empty where a command needs no model.
struct Session {
  std::shared_ptr<const model::Tokenizer> tokenizer;
  std::function<std::shared_ptr<const TextDataset>(const DatasetRequest&)> open_dataset;
  std::function<std::shared_ptr<const model::SecondMoment>(std::int64_t layer)> second_moment;
  // The entry of the key, read back from its stored form, in the order of names; `compute` makes it where there is
  // none. `second_moments`: what these come from is part of the key.
  StoreFunction get_or_compute;
  std::function<bool()> cancelled;
  std::uint64_t seed = 0;
};

struct HostContext {
  palimpsest_host host{};
  std::shared_ptr<const Session> session;
  std::string kind;                     // of the instance: decides what fact/1 shows
  std::string label;                    // for log lines: kind and id
  std::string version, library_sha256;  // of the plugin
  // While a value for the store is computed: what its key covers, an or of PALIMPSEST_STORE_ON_*.
  std::optional<std::uint32_t> store_scope;
  std::map<std::string, Rng, std::less<>> streams;
  std::vector<std::shared_ptr<const TextDataset>> datasets;
  std::vector<std::shared_ptr<const model::SecondMoment>> second_moments;
};

HostContext& context_of(const palimpsest_host* host);
// The table of a service, or NULL.
const void* find_service(std::string_view id);

palimpsest_model_info model_info_of(const model::Config& config);
// Its texts are those of `info`.
palimpsest_parameter_info parameter_info_of(const model::ParameterInfo& info, const model::Config& config);

// Runs a host function's body: what it throws becomes a status, its sentence the thread's last error.
palimpsest_status guarded(const std::function<void()>& body) noexcept;
// Fails while a value for the store is computed whose key does not cover `needed` (PALIMPSEST_STORE_ON_*; 0: what no
// key covers). `what`: the service that was asked.
void refuse_in_compute(const std::optional<std::uint32_t>& scope, std::uint32_t needed, std::string_view what);
// The thread's last sentence, and its reset before a plugin is called.
const std::string& last_error();
void set_last_error(std::string sentence);

inline std::string_view view(palimpsest_text text) { return {text.data, text.size}; }
inline palimpsest_text text_of(std::string_view view) { return {view.data(), view.size()}; }

// A handle is libtorch's own: a heap-allocated at::Tensor.
palimpsest_tensor new_handle(const at::Tensor& tensor);
const at::Tensor& tensor_of(palimpsest_tensor handle);

}  // namespace palimpsest::plugin

// --- the opaque objects of the ABI ---

// The model at one moment: three sets of weights over one architecture, and the recorded updates.
struct palimpsest_model {
  const palimpsest::model::Model* opened = nullptr;  // config, tokenizer, folder
  palimpsest::model::Parameters base;
  palimpsest::model::Parameters edited;
  palimpsest::model::Parameters current;
  palimpsest::model::Overrides adapters;  // of fine-tuning, part of the current weights; a plugin's own overrides win
  bool recompute_layers = false;          // activation checkpointing: ForwardRequest
  std::vector<palimpsest::model::Update> updates;
  std::uint64_t seed = 0;
  std::optional<std::uint32_t> store_scope;  // as in HostContext

  const palimpsest::model::Parameters& at(palimpsest_stage stage) const {
    if (stage != PALIMPSEST_STAGE_BASE)
      palimpsest::plugin::refuse_in_compute(store_scope, PALIMPSEST_STORE_ON_WEIGHTS, "a stage other than base");
    return stage == PALIMPSEST_STAGE_BASE ? base : stage == PALIMPSEST_STAGE_EDITED ? edited : current;
  }
};

struct palimpsest_fact {
  const palimpsest::data::Fact* fact = nullptr;
  std::string role;                                                  // "edited" or "intrinsic"
  std::string placebo;                                               // a seeded random other target of the relation
  std::shared_ptr<const std::vector<std::string>> relation_targets;  // every target of the relation, sorted
};

struct palimpsest_cache {
  palimpsest::model::Cache cache;
};

// palimpsest_dataset is never defined: its handles are TextDatasets that their HostContext owns.
