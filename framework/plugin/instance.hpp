// Instances of plugins, one class a kind: the C function tables behind functions that take and return values, throw
// Error, and keep the promises of docs/abi.md whatever the plugin does (exceptions, wrong statuses, grad mode and
// threads left changed, a failed apply).
//
// An instance owns its HostContext. One thread at a time, the one that made it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plugin/registry.hpp"
#include "plugin/services/context.hpp"

namespace palimpsest::plugin {

// A resolved parameter, by name; which member counts follows from the parameter's type. Absent when `present` is false.
struct ParameterValue {
  std::string name;
  bool present = true;
  std::int64_t integer = 0;  // booleans too
  double number = 0;
  std::string text;
  std::vector<std::int64_t> integers;
  std::vector<double> numbers;
  std::vector<std::string> texts;
};

class Instance {
 public:
  // `values` in any order; a parameter that is not named gets its default. Throws Error with the plugin's sentence when
  // create fails, kInvalidArgument for a missing required or an unknown name.
  Instance(Plugin plugin, std::shared_ptr<const Session> session, const std::vector<ParameterValue>& values);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const Plugin& plugin() const { return plugin_; }
  const palimpsest_descriptor& descriptor() const { return *plugin_.descriptor; }
  // "editor rome", for messages.
  const std::string& label() const { return context_->label; }

 protected:
  // The table of an interface; `required`: its absence is an Error.
  const void* interface(const char* id, bool required) const;
  Plugin plugin_;
  std::unique_ptr<HostContext> context_;
  void* instance_ = nullptr;
};

struct EditRequest {
  const palimpsest_fact* fact = nullptr;
  std::string prompt;  // template
  std::string subject;
  std::string target;
  palimpsest_prompt_origin origin = PALIMPSEST_PROMPT_OWN;
};

struct EditRecord {
  std::int64_t request = -1;
  std::string name;
  std::int64_t step = -1;
  double value = 0;
};

struct EditResult {
  std::vector<model::Update> updates;  // in the order they were emitted
  std::vector<EditRecord> records;
};

// Among the layers that an editor names: the weights that belong to none.
inline constexpr std::int64_t kNoLayer = -1;

struct EditorNeeds {
  std::vector<std::int64_t> second_moments;  // layers, sorted, without repetition
  std::vector<std::int64_t> edits_layers;    // the same, kNoLayer among them for embeddings, final norm and head
  std::int64_t largest_batch = 0;            // 0: any
  bool says = false;                         // it offers editor.needs/1; without it the above means nothing
  bool edits_nothing = false;                // it says what it edits, and that is nothing

  bool reads_moment(std::int64_t layer) const;
  bool edits(std::int64_t layer) const;
};

struct NamedTensor {
  std::string name;
  at::Tensor value;
};

// Throw kInvalidArgument for what the editor `id` did not announce: a second moment, since an edit is stored under
// those that it names; and, where it says what it edits, an update of another layer, since the plan, the groups that
// are compared and what counts as unedited follow from that.
void check_announced(const EditorNeeds& needs, std::int64_t moment_of_layer);
void check_announced(const EditorNeeds& needs, const std::vector<model::Update>& updates,
                     const model::Parameters& parameters, const std::string& id);

class Editor : public Instance {
 public:
  using Instance::Instance;
  EditorNeeds needs(const palimpsest_model_info& info) const;
  // Applies to model.current; on success `current` has the updates and model.updates records them. On failure `model`
  // is what it was, bit for bit.
  EditResult apply(palimpsest_model& model, std::span<const EditRequest> requests);
  bool has_state() const;
  void reset();
  std::vector<NamedTensor> save() const;
  void load(const std::vector<NamedTensor>& state);
};

struct Column {
  std::string name;
  palimpsest_dtype dtype = PALIMPSEST_FLOAT64;
  std::string unit;
  std::string doc;
  palimpsest_aggregate aggregate = PALIMPSEST_AGGREGATE_NONE;
  palimpsest_baseline baseline = PALIMPSEST_BASELINE_NONE;
  palimpsest_gate gate = PALIMPSEST_GATE_NONE;
};

struct CellValue {
  double number = 0;
  std::int64_t integer = 0;
  std::string text;
  bool missing = false;
};

struct Row {
  std::int64_t fact = -1;
  std::vector<CellValue> values;
};

struct MeasuringPoint {
  std::int64_t ordinal = 0;
  std::string stage;
  std::int64_t step = 0;
  std::int64_t tokens_trained = 0;  // of all fine-tuning before the point
  std::int64_t edit_tokens = 0;     // of all edit requests before it
};

class Metric : public Instance {
 public:
  using Instance::Instance;
  std::uint32_t when() const;
  std::vector<Column> columns() const;
  std::vector<Row> measure(palimpsest_model& model, const MeasuringPoint& point,
                           std::span<const palimpsest_fact* const> facts);
};

struct Example {
  std::vector<std::int64_t> token_ids;
  std::vector<std::int64_t> labels;
};

class Task : public Instance {
 public:
  using Instance::Instance;
  void prepare(palimpsest_model& model);
  palimpsest_batching batching() const;
  std::int64_t count(palimpsest_split split) const;
  Example example(palimpsest_split split, std::int64_t index) const;
  std::vector<Column> score_columns() const;
  std::vector<Row> score(palimpsest_model& model);
  // Whether the task brings a loss of its own (finetune-task.loss/1).
  bool has_loss() const;
  // Once before step 0, with the model that enters; without gradients.
  void prepare_loss(palimpsest_model& model);
  // The mean loss of these examples, a scalar; with grad mode on it has a graph down to those weights of model.current
  // that require grad. Throws kInvalidArgument when it is no scalar, or has no graph with grad mode on.
  at::Tensor loss(palimpsest_model& model, palimpsest_split split, std::span<const std::int64_t> examples);
};

struct AugmentRecord {
  std::string name;
  double value = 0;
};

// What an augmenter gave for one fact.
struct Augmentation {
  std::vector<std::string> prompts;  // templates with one {}, none of which tests the fact
  std::vector<AugmentRecord> records;
};

class Augmenter : public Instance {
 public:
  using Instance::Instance;
  // Throws what the augmenter fails with; a prompt that is not a template, or tests the fact, is refused where it is
  // given.
  Augmentation augment(palimpsest_model& model, const palimpsest_fact& fact);
};

struct Projection {
  palimpsest_side side = PALIMPSEST_SIDE_OUT;
  at::Tensor basis;  // orthonormal columns, float32
};

// What a policy decided about one parameter.
struct FreezeDecision {
  bool frozen = false;
  std::vector<Projection> projections;
};

class FreezePolicy : public Instance {
 public:
  using Instance::Instance;
  // In the order of the model's parameter infos. Throws kInvalidArgument when everything would be frozen.
  std::vector<FreezeDecision> decide(const palimpsest_model& model) const;
};

}  // namespace palimpsest::plugin
