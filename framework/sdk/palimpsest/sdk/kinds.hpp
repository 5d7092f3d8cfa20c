// The five kinds as C++ base classes, and the tables that lead from the C contract to their virtual functions.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "palimpsest/kinds/augmenter.h"
#include "palimpsest/kinds/editor.h"
#include "palimpsest/kinds/finetune_task.h"
#include "palimpsest/kinds/freeze_policy.h"
#include "palimpsest/kinds/metric.h"
#include "palimpsest/sdk/columns.hpp"
#include "palimpsest/sdk/facts.hpp"
#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::sdk {

// What every kind's base class derives from.
class Plugin {
 public:
  virtual ~Plugin() = default;
};

namespace detail {

// What `void* instance` points to.
struct Instance {
  const palimpsest_host* host = nullptr;
  std::deque<std::string> texts;  // of the parameters
  std::unique_ptr<Plugin> plugin;
};

template <typename K>
K& as(void* instance) {
  return static_cast<K&>(*static_cast<Instance*>(instance)->plugin);
}
inline const palimpsest_host* host_of(void* instance) { return static_cast<Instance*>(instance)->host; }
inline bool is(const char* id, const char* wanted) { return std::strcmp(id, wanted) == 0; }

}  // namespace detail

// ---------------------------------------------------------------------------------------------------------------- rows

// One value of a row; a missing one is `missing`.
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string>;
inline const Value missing{};

// Where rows of a metric or a score go.
class Rows {
 public:
  Rows(const palimpsest_host* host, const palimpsest_row_sink* sink) : host_(host), sink_(sink) {}
  // `fact`: index into the request's facts, -1 for none; `values` in the order of the columns.
  void row(std::int64_t fact, const std::vector<Value>& values) const {
    std::vector<palimpsest_cell_value> cells;
    for (const Value& value : values) {
      palimpsest_cell_value cell{std::numeric_limits<double>::quiet_NaN(), 0, {"", 0}, 0};
      if (const auto* flag = std::get_if<bool>(&value)) {
        cell.integer = *flag ? 1 : 0;
      } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        cell.integer = *integer;
      } else if (const auto* number = std::get_if<double>(&value)) {
        cell.number = *number;
      } else if (const auto* string = std::get_if<std::string>(&value)) {
        cell.text = text(*string);
      } else {
        cell.missing = 1;
      }
      cells.push_back(cell);
    }
    check(host_, sink_->row(sink_->context, fact, cells.data(), cells.size()));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_row_sink* sink_;
};

// -------------------------------------------------------------------------------------------------------------- editor

struct EditRequest {
  Fact fact;
  std::string_view prompt;  // template
  std::string_view subject;
  std::string_view target;
  palimpsest_prompt_origin origin;
};

// The open transaction.
class Updates {
 public:
  Updates(const palimpsest_host* host, const palimpsest_update_sink* sink) : host_(host), sink_(sink) {}
  // W += U V^T; u [out, r], v [in, r].
  void low_rank(std::string_view parameter, const Tensor& u, const Tensor& v) const {
    check(host_, sink_->low_rank(sink_->context, text(parameter), u.get(), v.get()));
  }
  void dense(std::string_view parameter, const Tensor& delta) const {
    check(host_, sink_->dense(sink_->context, text(parameter), delta.get()));
  }
  // A number worth keeping; request -1: about the whole call; step -1: no step.
  void record(std::int64_t request, std::string_view name, std::int64_t step, double value) const {
    check(host_, sink_->record(sink_->context, request, text(name), step, value));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_update_sink* sink_;
};

// What apply will need.
struct Needs {
  std::vector<std::int64_t> second_moments;  // layers
  std::vector<std::int64_t> edits_layers;
  std::int64_t largest_batch = 0;  // 0: any
};

class Editor : public Plugin {
 public:
  using Kind = Editor;
  static constexpr const char* kName = PALIMPSEST_KIND_EDITOR;

  virtual void apply(Model model, std::span<const EditRequest> requests, const Updates& updates) = 0;
  // Checks parameters against the model and says what apply will need.
  virtual Needs needs(const palimpsest_model_info& info) = 0;

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_editor_v1 editor = {[](void* instance, palimpsest_model* model,
                                                       const palimpsest_edit_request* requests, size_t count,
                                                       const palimpsest_update_sink* sink) -> palimpsest_status {
      const auto* host = detail::host_of(instance);
      return guarded(host, [&] {
        std::vector<EditRequest> list;
        for (size_t i = 0; i < count; ++i) {
          const auto& r = requests[i];
          list.push_back({Fact(host, r.fact), view(r.prompt), view(r.subject), view(r.target), r.origin});
        }
        detail::as<Editor>(instance).apply(Model(host, model), list, Updates(host, sink));
      });
    }};
    static constexpr palimpsest_editor_needs_v1 needs_table = {
        [](void* instance, const palimpsest_model_info* info, const palimpsest_needs_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] {
            const Needs needs = detail::as<Editor>(instance).needs(*info);
            for (const auto layer : needs.second_moments) check(host, sink->second_moment(sink->context, layer));
            for (const auto layer : needs.edits_layers) check(host, sink->edits_layer(sink->context, layer));
            if (needs.largest_batch > 0) check(host, sink->largest_batch(sink->context, needs.largest_batch));
          });
        }};
    if (detail::is(id, PALIMPSEST_EDITOR_1)) return &editor;
    if (detail::is(id, PALIMPSEST_EDITOR_NEEDS_1)) return &needs_table;
    if (detail::is(id, PALIMPSEST_EDITOR_STATE_1)) return state_table<P>();
    return nullptr;
  }

 private:
  template <typename P>
  static const void* state_table();
};

// Named tensors of an editor's state, on their way out.
class StateSink {
 public:
  StateSink(const palimpsest_host* host, const palimpsest_state_sink* sink) : host_(host), sink_(sink) {}
  void tensor(std::string_view name, const Tensor& value) const {
    check(host_, sink_->tensor(sink_->context, text(name), value.get()));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_state_sink* sink_;
};

struct StateTensor {
  std::string_view name;
  Tensor value;  // retained: may be kept
};

// An editor whose later edits depend on its earlier ones. What it keeps between calls of apply must all be in its
// state, so that an instance that loads it goes on as the one that saved it would have. Names differ within a state. An
// apply that throws leaves the state as it was: change it last.
class StatefulEditor : public Editor {
 public:
  // Back to what the constructor left.
  virtual void reset() = 0;
  virtual void save(const StateSink& sink) = 0;
  // What save gave, in any order.
  virtual void load(std::span<const StateTensor> state) = 0;
};

template <typename P>
const void* Editor::state_table() {
  if constexpr (std::is_base_of_v<StatefulEditor, P>) {
    static constexpr palimpsest_editor_state_v1 table = {
        [](void* instance) -> palimpsest_status {
          return guarded(detail::host_of(instance), [&] { detail::as<StatefulEditor>(instance).reset(); });
        },
        [](void* instance, const palimpsest_state_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] { detail::as<StatefulEditor>(instance).save(StateSink(host, sink)); });
        },
        [](void* instance, const palimpsest_text* names, const palimpsest_tensor* values,
           size_t count) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] {
            std::vector<StateTensor> state;
            for (size_t i = 0; i < count; ++i) state.push_back({view(names[i]), Tensor::retain(host, values[i])});
            detail::as<StatefulEditor>(instance).load(state);
          });
        }};
    return &table;
  } else {
    return nullptr;
  }
}

// -------------------------------------------------------------------------------------------------------------- metric

struct MeasureRequest {
  Model model;
  std::int64_t ordinal;
  std::string_view stage;  // "base", "edited", "step", "finetuned"
  std::int64_t step;
  std::vector<Fact> facts;
  std::int64_t tokens_trained;  // of all fine-tuning before this point
  std::int64_t edit_tokens;     // of all edit requests before this point
};

class Metric : public Plugin {
 public:
  using Kind = Metric;
  static constexpr const char* kName = PALIMPSEST_KIND_METRIC;

  virtual std::uint32_t when() const { return PALIMPSEST_WHEN_ALWAYS; }
  // Must live as long as the instance.
  virtual std::span<const palimpsest_column> columns() const = 0;
  virtual void measure(const MeasureRequest& request, const Rows& rows) = 0;

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_metric_v1 metric = {
        [](void* instance) -> std::uint32_t { return detail::as<Metric>(instance).when(); },
        [](void* instance, const palimpsest_column** columns, size_t* count) -> palimpsest_status {
          return guarded(detail::host_of(instance), [&] {
            const auto list = detail::as<Metric>(instance).columns();
            *columns = list.data();
            *count = list.size();
          });
        },
        [](void* instance, const palimpsest_measure_request* request,
           const palimpsest_row_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] {
            MeasureRequest r{Model(host, request->model), request->ordinal,    view(request->stage), request->step, {},
                             request->tokens_trained,     request->edit_tokens};
            for (size_t i = 0; i < request->fact_count; ++i) r.facts.emplace_back(host, request->facts[i]);
            detail::as<Metric>(instance).measure(r, Rows(host, sink));
          });
        }};
    return detail::is(id, PALIMPSEST_METRIC_1) ? &metric : nullptr;
  }
};

// ---------------------------------------------------------------------------------------------------------------- task

struct Example {
  std::vector<std::int64_t> token_ids;
  std::vector<std::int64_t> labels;  // -100: no loss
};

// A loss of the task's own; a task derives from this beside FineTuneTask.
class OwnLoss {
 public:
  virtual ~OwnLoss() = default;
  // Once before step 0, with the model that enters the stage.
  virtual void prepare_loss(Model model) = 0;
  // The mean loss of the examples, a scalar computed from forwards of the current weights.
  virtual Tensor loss(Model model, palimpsest_split split, std::span<const std::int64_t> examples) = 0;
};

namespace detail {

template <typename P>
const palimpsest_finetune_task_loss_v1& own_loss_table() {
  static constexpr palimpsest_finetune_task_loss_v1 table = {
      [](void* instance, palimpsest_model* model) -> palimpsest_status {
        const auto* host = host_of(instance);
        return guarded(host, [&] { as<P>(instance).prepare_loss(Model(host, model)); });
      },
      [](void* instance, palimpsest_model* model, palimpsest_split split, const std::int64_t* examples,
         std::size_t count, palimpsest_tensor* loss) -> palimpsest_status {
        const auto* host = host_of(instance);
        return guarded(host, [&] {
          const Tensor made = as<P>(instance).loss(Model(host, model), split, {examples, count});
          check(host, service<palimpsest_tensor_v1>(host, PALIMPSEST_TENSOR_1).retain(host, made.get(), loss));
        });
      }};
  return table;
}

}  // namespace detail

class FineTuneTask : public Plugin {
 public:
  using Kind = FineTuneTask;
  static constexpr const char* kName = PALIMPSEST_KIND_FINETUNE_TASK;

  virtual void prepare(Model model) = 0;
  virtual palimpsest_batching batching() const = 0;
  virtual std::int64_t count(palimpsest_split split) = 0;
  virtual Example example(palimpsest_split split, std::int64_t index) = 0;
  virtual std::span<const palimpsest_column> score_columns() const = 0;
  virtual void score(Model model, const Rows& rows) = 0;

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_finetune_task_v1 task = {
        [](void* instance, palimpsest_model* model) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] { detail::as<FineTuneTask>(instance).prepare(Model(host, model)); });
        },
        [](void* instance) -> palimpsest_batching { return detail::as<FineTuneTask>(instance).batching(); },
        [](void* instance, palimpsest_split split, std::int64_t* count) -> palimpsest_status {
          return guarded(detail::host_of(instance), [&] { *count = detail::as<FineTuneTask>(instance).count(split); });
        },
        [](void* instance, palimpsest_split split, std::int64_t index,
           const palimpsest_example_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] {
            const Example made = detail::as<FineTuneTask>(instance).example(split, index);
            if (made.token_ids.size() != made.labels.size()) {
              fail(PALIMPSEST_INTERNAL, "example ", index, " has ", made.token_ids.size(), " tokens and ",
                   made.labels.size(), " labels");
            }
            check(host, sink->example(sink->context, made.token_ids.data(), made.labels.data(), made.token_ids.size()));
          });
        },
        [](void* instance, const palimpsest_column** columns, size_t* count) -> palimpsest_status {
          return guarded(detail::host_of(instance), [&] {
            const auto list = detail::as<FineTuneTask>(instance).score_columns();
            *columns = list.data();
            *count = list.size();
          });
        },
        [](void* instance, palimpsest_model* model, const palimpsest_row_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] { detail::as<FineTuneTask>(instance).score(Model(host, model), Rows(host, sink)); });
        }};
    if constexpr (std::is_base_of_v<OwnLoss, P>) {
      if (detail::is(id, PALIMPSEST_FINETUNE_TASK_LOSS_1)) return &detail::own_loss_table<P>();
    }
    return detail::is(id, PALIMPSEST_FINETUNE_TASK_1) ? &task : nullptr;
  }
};

// ----------------------------------------------------------------------------------------------------------- augmenter

class Prompts {
 public:
  Prompts(const palimpsest_host* host, const palimpsest_prompt_sink* sink) : host_(host), sink_(sink) {}
  void add(std::string_view prompt_template) const {
    check(host_, sink_->prompt(sink_->context, text(prompt_template)));
  }
  // Like add; false, and nothing is added, where the prompt tests the fact.
  bool offer(std::string_view prompt_template) const {
    const palimpsest_status status = sink_->prompt(sink_->context, text(prompt_template));
    if (status == PALIMPSEST_UNSUPPORTED) return false;
    check(host_, status);
    return true;
  }
  // A number about the fact's prompts that is worth keeping.
  void record(std::string_view name, double value) const {
    check(host_, sink_->record(sink_->context, text(name), value));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_prompt_sink* sink_;
};

class Augmenter : public Plugin {
 public:
  using Kind = Augmenter;
  static constexpr const char* kName = PALIMPSEST_KIND_AUGMENTER;

  virtual void augment(Model base, const Fact& fact, const Prompts& prompts) = 0;

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_augmenter_v1 augmenter = {[](void* instance, palimpsest_model* model,
                                                             const palimpsest_fact* fact,
                                                             const palimpsest_prompt_sink* sink) -> palimpsest_status {
      const auto* host = detail::host_of(instance);
      return guarded(host, [&] {
        detail::as<Augmenter>(instance).augment(Model(host, model), Fact(host, fact), Prompts(host, sink));
      });
    }};
    return detail::is(id, PALIMPSEST_AUGMENTER_1) ? &augmenter : nullptr;
  }
};

// ------------------------------------------------------------------------------------------------------- freeze policy

struct UpdateView {
  std::string_view parameter;
  std::int64_t rank;              // 0: dense
  palimpsest_tensor u, v, dense;  // for the call
};

class Freezing {
 public:
  Freezing(const palimpsest_host* host, const palimpsest_freeze_sink* sink) : host_(host), sink_(sink) {}
  void freeze(std::size_t index) const { check(host_, sink_->freeze(sink_->context, index)); }
  // `basis`: orthonormal columns.
  void project(std::size_t index, palimpsest_side side, const Tensor& basis) const {
    check(host_, sink_->project(sink_->context, index, side, basis.get()));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_freeze_sink* sink_;
};

class FreezePolicy : public Plugin {
 public:
  using Kind = FreezePolicy;
  static constexpr const char* kName = PALIMPSEST_KIND_FREEZE_POLICY;

  virtual void decide(const palimpsest_model_info& info, std::span<const ParameterInfo> parameters,
                      std::span<const UpdateView> updates, const Freezing& freezing) = 0;

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_freeze_policy_v1 policy = {
        [](void* instance, const palimpsest_model_info* info, const palimpsest_parameter_info* parameters,
           size_t parameter_count, const palimpsest_recorded_update* updates, size_t update_count,
           const palimpsest_freeze_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] {
            std::vector<ParameterInfo> list;
            for (size_t i = 0; i < parameter_count; ++i) list.push_back(parameter_info(parameters[i]));
            std::vector<UpdateView> recorded;
            for (size_t i = 0; i < update_count; ++i) {
              recorded.push_back(
                  {view(updates[i].parameter), updates[i].rank, updates[i].u, updates[i].v, updates[i].dense});
            }
            detail::as<FreezePolicy>(instance).decide(*info, list, recorded, Freezing(host, sink));
          });
        }};
    return detail::is(id, PALIMPSEST_FREEZE_POLICY_1) ? &policy : nullptr;
  }
};

}  // namespace palimpsest::sdk
