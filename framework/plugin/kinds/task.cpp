// Tasks: examples, the score, and a loss of the task's own.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <memory>

#include "base/error.hpp"
#include "plugin/call.hpp"
#include "plugin/instance.hpp"
#include "plugin/kinds/rows.hpp"
#include "plugin/kinds/table.hpp"

namespace palimpsest::plugin {

void Task::prepare(palimpsest_model& model) {
  call_plugin(label(), "prepare", [&] {
    return table<palimpsest_finetune_task_v1>(interface(PALIMPSEST_FINETUNE_TASK_1, true)).prepare(instance_, &model);
  });
}

palimpsest_batching Task::batching() const {
  palimpsest_batching batching = PALIMPSEST_BATCHING_PACK;
  call_plugin(label(), "batching", [&] {
    batching = table<palimpsest_finetune_task_v1>(interface(PALIMPSEST_FINETUNE_TASK_1, true)).batching(instance_);
    return palimpsest_status{PALIMPSEST_OK};
  });
  if (batching != PALIMPSEST_BATCHING_PACK && batching != PALIMPSEST_BATCHING_PAD) {
    fail(ErrorCode::kInvalidArgument, label(), ": batching gave ", batching, "; expected PACK or PAD");
  }
  return batching;
}

std::int64_t Task::count(palimpsest_split split) const {
  std::int64_t count = 0;
  call_plugin(label(), "count", [&] {
    return table<palimpsest_finetune_task_v1>(interface(PALIMPSEST_FINETUNE_TASK_1, true))
        .count(instance_, split, &count);
  });
  if (count < 0) fail(ErrorCode::kInvalidArgument, label(), ": count gave ", count);
  return count;
}

Example Task::example(palimpsest_split split, std::int64_t index) const {
  Example made;
  const palimpsest_example_sink sink{
      &made, [](void* context, const int64_t* ids, const int64_t* labels, size_t count) -> palimpsest_status {
        auto& example = *static_cast<Example*>(context);
        example.token_ids.assign(ids, ids + count);
        example.labels.assign(labels, labels + count);
        return PALIMPSEST_OK;
      }};
  call_plugin(label(), "example", [&] {
    return table<palimpsest_finetune_task_v1>(interface(PALIMPSEST_FINETUNE_TASK_1, true))
        .example(instance_, split, index, &sink);
  });
  if (made.token_ids.empty()) fail(ErrorCode::kInvalidArgument, label(), ": example ", index, " has no tokens");
  return made;
}

std::vector<Column> Task::score_columns() const {
  const palimpsest_column* raw = nullptr;
  size_t count = 0;
  call_plugin(label(), "score_columns", [&] {
    return table<palimpsest_finetune_task_v1>(interface(PALIMPSEST_FINETUNE_TASK_1, true))
        .score_columns(instance_, &raw, &count);
  });
  std::vector<Column> columns = copy_columns(raw, count, label());
  for (const Column& column : columns) {
    if (column.gate == PALIMPSEST_GATE_NONE || column.gate == PALIMPSEST_GATE_PERPLEXITY) continue;
    fail(
        ErrorCode::kInvalidArgument, label(), ": column \"", column.name,
        "\" of its score declares a gate about edited facts; a score is about no fact and can declare PERPLEXITY only");
  }
  return columns;
}

std::vector<Row> Task::score(palimpsest_model& model) {
  const std::vector<Column> declared = score_columns();
  RowCollector collector{&declared, 0, {}};
  const palimpsest_row_sink sink{&collector, collect_row};
  call_plugin(label(), "score", [&] {
    return table<palimpsest_finetune_task_v1>(interface(PALIMPSEST_FINETUNE_TASK_1, true))
        .score(instance_, &model, &sink);
  });
  return std::move(collector.rows);
}

bool Task::has_loss() const { return interface(PALIMPSEST_FINETUNE_TASK_LOSS_1, /*required=*/false) != nullptr; }

void Task::prepare_loss(palimpsest_model& model) {
  const auto& loss =
      table<palimpsest_finetune_task_loss_v1>(interface(PALIMPSEST_FINETUNE_TASK_LOSS_1, /*required=*/true));
  const c10::NoGradGuard no_grad;
  call_plugin(label(), "prepare of its loss", [&] { return loss.prepare(instance_, &model); });
}

at::Tensor Task::loss(palimpsest_model& model, palimpsest_split split, std::span<const std::int64_t> examples) {
  const auto& own =
      table<palimpsest_finetune_task_loss_v1>(interface(PALIMPSEST_FINETUNE_TASK_LOSS_1, /*required=*/true));
  palimpsest_tensor handle = nullptr;
  call_plugin(label(), "loss",
              [&] { return own.loss(instance_, &model, split, examples.data(), examples.size(), &handle); });
  const std::unique_ptr<at::Tensor> owned(reinterpret_cast<at::Tensor*>(handle));
  if (owned == nullptr) fail(ErrorCode::kInvalidArgument, label(), ": loss succeeded without giving a tensor");
  const at::Tensor& made = *owned;
  if (made.dim() != 0 || !made.is_floating_point()) {
    fail(ErrorCode::kInvalidArgument, label(), ": loss gave a tensor ", made.sizes(), " of ",
         at::toString(made.scalar_type()), "; expected a scalar of a floating-point type");
  }
  if (c10::GradMode::is_enabled() && !made.requires_grad()) {
    fail(ErrorCode::kInvalidArgument, label(),
         ": loss gave a number without a graph, so nothing can be trained by it; compute it from log-probabilities or "
         "logits of a forward of the current weights, with grad mode on");
  }
  return made;
}

}  // namespace palimpsest::plugin
