// Tasks: examples to fine-tune on, and a score; a loss of the task's own where it brings one.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "palimpsest/kinds/finetune_task.h"
#include "palimpsest/sdk/columns.hpp"
#include "palimpsest/sdk/kinds/plugin_base.hpp"
#include "palimpsest/sdk/kinds/rows.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::sdk {

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
          return guarded(host, [&] {
            auto& own = detail::as<FineTuneTask>(instance);
            own.score(Model(host, model), Rows(host, sink, own.score_columns()));
          });
        }};
    if constexpr (std::is_base_of_v<OwnLoss, P>) {
      if (detail::is(id, PALIMPSEST_FINETUNE_TASK_LOSS_1)) return &detail::own_loss_table<P>();
    }
    return detail::is(id, PALIMPSEST_FINETUNE_TASK_1) ? &task : nullptr;
  }
};

}  // namespace palimpsest::sdk
