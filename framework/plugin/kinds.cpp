// The function tables of the five kinds behind the classes of instance.hpp.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "base/error.hpp"
#include "data/text.hpp"
#include "plugin/call.hpp"
#include "plugin/instance.hpp"

namespace palimpsest::plugin {
namespace {

template <typename Table>
const Table& table(const void* raw) {
  return *static_cast<const Table*>(raw);
}

// ------------------------------------------------------------------------------------------------------------- editor

// An open transaction: updates go into a copy of the weights that becomes the model's own only when apply succeeds.
struct Transaction {
  palimpsest_model* model;
  std::size_t requests;
  EditResult result;
};

palimpsest_status commit(Transaction& transaction, model::Update update) {
  transaction.model->current = model::apply(transaction.model->current, update);
  transaction.result.updates.push_back(std::move(update));
  return PALIMPSEST_OK;
}

palimpsest_status low_rank(void* context, palimpsest_text parameter, palimpsest_tensor u, palimpsest_tensor v) {
  return guarded([&] {
    auto& transaction = *static_cast<Transaction*>(context);
    commit(transaction, model::make_low_rank(transaction.model->current, view(parameter), tensor_of(u), tensor_of(v)));
  });
}

palimpsest_status dense(void* context, palimpsest_text parameter, palimpsest_tensor delta) {
  return guarded([&] {
    auto& transaction = *static_cast<Transaction*>(context);
    commit(transaction, model::make_dense(transaction.model->current, view(parameter), tensor_of(delta)));
  });
}

palimpsest_status record(void* context, int64_t request, palimpsest_text name, int64_t step, double value) {
  return guarded([&] {
    auto& transaction = *static_cast<Transaction*>(context);
    if (request < -1 || request >= static_cast<int64_t>(transaction.requests)) {
      fail(ErrorCode::kOutOfRange, "a record about request ", request, " of ", transaction.requests);
    }
    if (!std::isfinite(value)) {
      fail(ErrorCode::kNumeric, "the record \"", view(name), "\" of request ", request, " at step ", step,
           " is not finite");
    }
    transaction.result.records.push_back({request, std::string(view(name)), step, value});
  });
}

// --------------------------------------------------------------------------------------------------------------- rows

void check_gate(const palimpsest_column& c, const std::string& label) {
  if (c.gate < PALIMPSEST_GATE_NONE || c.gate > PALIMPSEST_GATE_PERPLEXITY) {
    fail(ErrorCode::kInvalidArgument, label, ": column \"", c.name, "\" has gate ", c.gate,
         "; expected NONE, EFFICACY, NEIGHBOURHOOD or PERPLEXITY");
  }
  if (c.gate == PALIMPSEST_GATE_NONE) return;
  if (c.dtype == PALIMPSEST_TEXT || std::string_view(c.unit) != "1") {
    fail(ErrorCode::kInvalidArgument, label, ": column \"", c.name, "\" is for the quality gate",
         c.dtype == PALIMPSEST_TEXT ? " and holds texts" : cat(" and has the unit \"", c.unit, "\""),
         "; expected numbers or truths of unit \"1\"");
  }
}

std::vector<Column> copy_columns(const palimpsest_column* raw, size_t count, const std::string& label) {
  std::vector<Column> columns;
  std::set<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    const auto& c = raw[i];
    if (c.name == nullptr || c.unit == nullptr || c.doc == nullptr) {
      fail(ErrorCode::kInvalidArgument, label, ": column ", i, " lacks its name, unit or doc");
    }
    if (c.dtype != PALIMPSEST_FLOAT64 && c.dtype != PALIMPSEST_INT64 && c.dtype != PALIMPSEST_BOOL &&
        c.dtype != PALIMPSEST_TEXT) {
      fail(ErrorCode::kInvalidArgument, label, ": column \"", c.name, "\" has dtype ", c.dtype,
           "; expected FLOAT64, INT64, BOOL or TEXT");
    }
    if (!names.insert(c.name).second)
      fail(ErrorCode::kInvalidArgument, label, ": two columns are named \"", c.name, "\"");
    check_gate(c, label);
    columns.push_back({c.name, c.dtype, c.unit, c.doc, c.aggregate, c.baseline, c.gate});
  }
  return columns;
}

struct RowCollector {
  const std::vector<Column>* columns;
  std::int64_t facts;
  std::vector<Row> rows;
};

palimpsest_status collect_row(void* context, int64_t fact, const palimpsest_cell_value* values, size_t count) {
  return guarded([&] {
    auto& collector = *static_cast<RowCollector*>(context);
    if (count != collector.columns->size()) {
      fail(ErrorCode::kInvalidArgument, "a row of ", count, " values; ", collector.columns->size(),
           " columns were declared");
    }
    if (fact < -1 || fact >= collector.facts)
      fail(ErrorCode::kOutOfRange, "a row about fact ", fact, " of ", collector.facts);
    Row row{fact, {}};
    for (size_t i = 0; i < count; ++i) {
      const auto& column = (*collector.columns)[i];
      CellValue cell{values[i].number, values[i].integer, {}, values[i].missing != 0};
      if (column.dtype == PALIMPSEST_INT64 && cell.missing) {
        fail(ErrorCode::kInvalidArgument, "column \"", column.name, "\" of fact ", fact,
             " is missing, and an INT64 cannot be: declare the column FLOAT64");
      }
      if (column.dtype == PALIMPSEST_TEXT && !cell.missing) cell.text = view(values[i].text);
      if (column.dtype == PALIMPSEST_FLOAT64 && !cell.missing && std::isinf(cell.number)) {
        fail(ErrorCode::kNumeric, "column \"", column.name, "\" of fact ", fact, " is infinite");
      }
      row.values.push_back(std::move(cell));
    }
    collector.rows.push_back(std::move(row));
  });
}

// --------------------------------------------------------------------------------------------------------- freezing

struct FreezeCollector {
  const palimpsest_model* model;
  std::vector<FreezeDecision> decisions;
  FreezeDecision& at(size_t index) {
    if (index >= decisions.size()) fail(ErrorCode::kOutOfRange, "parameter ", index, " of ", decisions.size());
    return decisions[index];
  }
};

palimpsest_status freeze(void* context, size_t index) {
  return guarded([&] { static_cast<FreezeCollector*>(context)->at(index).frozen = true; });
}

palimpsest_status project(void* context, size_t index, palimpsest_side side, palimpsest_tensor handle) {
  return guarded([&] {
    auto& collector = *static_cast<FreezeCollector*>(context);
    FreezeDecision& decision = collector.at(index);
    const model::Parameters& weights = collector.model->current;
    const at::Tensor& weight = weights[index];
    const at::Tensor basis = tensor_of(handle).detach().to(at::kFloat).contiguous();
    const std::string& name = weights.infos()[index].name;
    const std::int64_t extent = side == PALIMPSEST_SIDE_OUT ? 0 : 1;
    if (weight.dim() != 2 || basis.dim() != 2 || basis.size(0) != weight.size(extent)) {
      fail(ErrorCode::kInvalidArgument, "projection of ", name, " ", weight.sizes(), ": the basis is ", basis.sizes());
    }
    const at::Tensor gram = basis.to(at::kDouble).t().mm(basis.to(at::kDouble));
    const double off = (gram - at::eye(basis.size(1), at::kDouble)).abs().max().item<double>();
    if (!(off < 1e-4)) {
      fail(ErrorCode::kNumeric, "projection of ", name, ": the basis is not orthonormal (largest deviation ", off, ")");
    }
    decision.projections.push_back({side, basis});
  });
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------
// Editor

EditorNeeds Editor::needs(const palimpsest_model_info& info) const {
  EditorNeeds needs;
  const void* raw = interface(PALIMPSEST_EDITOR_NEEDS_1, /*required=*/false);
  if (raw == nullptr) return needs;
  const palimpsest_needs_sink sink{&needs,
                                   [](void* context, int64_t layer) -> palimpsest_status {
                                     static_cast<EditorNeeds*>(context)->second_moments.push_back(layer);
                                     return PALIMPSEST_OK;
                                   },
                                   [](void* context, int64_t layer) -> palimpsest_status {
                                     static_cast<EditorNeeds*>(context)->edits_layers.push_back(layer);
                                     return PALIMPSEST_OK;
                                   },
                                   [](void* context, int64_t facts) -> palimpsest_status {
                                     static_cast<EditorNeeds*>(context)->largest_batch = facts;
                                     return PALIMPSEST_OK;
                                   }};
  call_plugin(label(), "needs", [&] { return table<palimpsest_editor_needs_v1>(raw).needs(instance_, &info, &sink); });
  for (auto* layers : {&needs.second_moments, &needs.edits_layers}) {
    std::sort(layers->begin(), layers->end());
    layers->erase(std::unique(layers->begin(), layers->end()), layers->end());
    for (const auto layer : *layers) {
      if (layer < 0 || layer >= info.layers) {
        fail(ErrorCode::kOutOfRange, label(), " needs layer ", layer, "; the model has layers 0 to ", info.layers - 1);
      }
    }
  }
  needs.edits_nothing = needs.edits_layers.empty();
  return needs;
}

EditResult Editor::apply(palimpsest_model& model, std::span<const EditRequest> requests) {
  std::vector<palimpsest_edit_request> raw;
  for (const auto& r : requests) {
    raw.push_back({r.fact, text_of(r.prompt), text_of(r.subject), text_of(r.target), r.origin, 0});
  }
  const model::Parameters before = model.current;
  Transaction transaction{&model, requests.size(), {}};
  const palimpsest_update_sink sink{&transaction, low_rank, dense, record};
  const auto& editor = table<palimpsest_editor_v1>(interface(PALIMPSEST_EDITOR_1, /*required=*/true));
  try {
    call_plugin(label(), "apply", [&] { return editor.apply(instance_, &model, raw.data(), raw.size(), &sink); });
  } catch (...) {
    model.current = before;
    throw;
  }
  for (auto& update : transaction.result.updates) {
    for (const auto& r : requests) update.facts.push_back(r.fact == nullptr ? "" : r.fact->fact->id);
  }
  model.updates.insert(model.updates.end(), transaction.result.updates.begin(), transaction.result.updates.end());
  return std::move(transaction.result);
}

bool Editor::has_state() const { return interface(PALIMPSEST_EDITOR_STATE_1, /*required=*/false) != nullptr; }

void Editor::reset() {
  if (const void* raw = interface(PALIMPSEST_EDITOR_STATE_1, false)) {
    call_plugin(label(), "reset", [&] { return table<palimpsest_editor_state_v1>(raw).reset(instance_); });
  }
}

std::vector<NamedTensor> Editor::save() const {
  std::vector<NamedTensor> state;
  if (const void* raw = interface(PALIMPSEST_EDITOR_STATE_1, false)) {
    const palimpsest_state_sink sink{&state, [](void* context, palimpsest_text name, palimpsest_tensor value) {
                                       return guarded([&] {
                                         static_cast<std::vector<NamedTensor>*>(context)->push_back(
                                             {std::string(view(name)), tensor_of(value).detach().clone()});
                                       });
                                     }};
    call_plugin(label(), "save", [&] { return table<palimpsest_editor_state_v1>(raw).save(instance_, &sink); });
  }
  return state;
}

void Editor::load(const std::vector<NamedTensor>& state) {
  const void* raw = interface(PALIMPSEST_EDITOR_STATE_1, /*required=*/true);
  std::vector<palimpsest_text> names;
  std::vector<at::Tensor> kept;
  std::vector<palimpsest_tensor> values;
  for (const auto& entry : state) {
    names.push_back(text_of(entry.name));
    kept.push_back(entry.value);
  }
  for (auto& tensor : kept) values.push_back(reinterpret_cast<palimpsest_tensor>(&tensor));
  call_plugin(label(), "load", [&] {
    return table<palimpsest_editor_state_v1>(raw).load(instance_, names.data(), values.data(), values.size());
  });
}

// ---------------------------------------------------------------------------------------------------------------
// Metric

std::uint32_t Metric::when() const {
  std::uint32_t mask = 0;
  call_plugin(label(), "when", [&] {
    mask = table<palimpsest_metric_v1>(interface(PALIMPSEST_METRIC_1, true)).when(instance_);
    return palimpsest_status{PALIMPSEST_OK};
  });
  return mask;
}

std::vector<Column> Metric::columns() const {
  const palimpsest_column* raw = nullptr;
  size_t count = 0;
  call_plugin(label(), "columns", [&] {
    return table<palimpsest_metric_v1>(interface(PALIMPSEST_METRIC_1, true)).columns(instance_, &raw, &count);
  });
  return copy_columns(raw, count, label());
}

std::vector<Row> Metric::measure(palimpsest_model& model, const MeasuringPoint& point,
                                 std::span<const palimpsest_fact* const> facts) {
  const std::vector<Column> declared = columns();
  RowCollector collector{&declared, static_cast<std::int64_t>(facts.size()), {}};
  const palimpsest_row_sink sink{&collector, collect_row};
  const palimpsest_measure_request request{&model,       point.ordinal, text_of(point.stage), point.step,
                                           facts.data(), facts.size(),  point.tokens_trained, point.edit_tokens};
  const model::Parameters before = model.current;
  call_plugin(label(), "measure", [&] {
    return table<palimpsest_metric_v1>(interface(PALIMPSEST_METRIC_1, true)).measure(instance_, &request, &sink);
  });
  model.current = before;
  return std::move(collector.rows);
}

// -----------------------------------------------------------------------------------------------------------------
// Task

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

// ------------------------------------------------------------------------------------------------------------
// Augmenter

namespace {

struct PromptCollector {
  const palimpsest_fact* fact;
  Augmentation made;
};

bool tests(const palimpsest_fact& fact, std::string_view prompt) {
  const std::string folded = data::fold_text(data::expand(prompt, fact.fact->subject));
  return std::any_of(fact.fact->probes.begin(), fact.fact->probes.end(), [&](const data::Probe& probe) {
    return probe.split == "test" && data::fold_text(probe.prompt) == folded;
  });
}

palimpsest_status collect_prompt(void* context, palimpsest_text prompt) {
  return guarded([&] {
    auto& collector = *static_cast<PromptCollector*>(context);
    const std::string_view text = view(prompt);
    const std::size_t at = text.find("{}");
    if (at == std::string_view::npos || text.find("{}", at + 2) != std::string_view::npos) {
      fail(ErrorCode::kInvalidArgument, "the prompt \"", text, "\" must have exactly one {} where the subject stands");
    }
    if (tests(*collector.fact, text)) {
      fail(ErrorCode::kUnsupported, "the prompt \"", data::expand(text, collector.fact->fact->subject),
           "\" tests the fact ", collector.fact->fact->id, "; a test prompt must not teach");
    }
    collector.made.prompts.emplace_back(text);
  });
}

palimpsest_status collect_augment_record(void* context, palimpsest_text name, double value) {
  return guarded([&] {
    if (!std::isfinite(value)) fail(ErrorCode::kNumeric, "the record \"", view(name), "\" is ", value);
    static_cast<PromptCollector*>(context)->made.records.push_back({std::string(view(name)), value});
  });
}

}  // namespace

Augmentation Augmenter::augment(palimpsest_model& model, const palimpsest_fact& fact) {
  PromptCollector collector{&fact, {}};
  const palimpsest_prompt_sink sink{&collector, collect_prompt, collect_augment_record};
  call_plugin(label(), "augment", [&] {
    return table<palimpsest_augmenter_v1>(interface(PALIMPSEST_AUGMENTER_1, true))
        .augment(instance_, &model, &fact, &sink);
  });
  return std::move(collector.made);
}

// ---------------------------------------------------------------------------------------------------------
// FreezePolicy

std::vector<FreezeDecision> FreezePolicy::decide(const palimpsest_model& model) const {
  const auto& infos = model.current.infos();
  std::vector<palimpsest_parameter_info> parameters;
  for (const auto& info : infos) parameters.push_back(parameter_info_of(info, model.opened->config));
  std::vector<model::Update> kept = model.updates;
  const auto handle = [](at::Tensor& tensor) {
    return tensor.defined() ? reinterpret_cast<palimpsest_tensor>(&tensor) : nullptr;
  };
  std::vector<palimpsest_recorded_update> updates;
  for (auto& u : kept) updates.push_back({text_of(u.parameter), u.rank(), handle(u.u), handle(u.v), handle(u.dense)});

  FreezeCollector collector{&model, std::vector<FreezeDecision>(infos.size())};
  const palimpsest_freeze_sink sink{&collector, freeze, project};
  const palimpsest_model_info info = model_info_of(model.opened->config);
  call_plugin(label(), "decide", [&] {
    return table<palimpsest_freeze_policy_v1>(interface(PALIMPSEST_FREEZE_POLICY_1, true))
        .decide(instance_, &info, parameters.data(), parameters.size(), updates.data(), updates.size(), &sink);
  });
  if (std::all_of(collector.decisions.begin(), collector.decisions.end(), [](const auto& d) { return d.frozen; })) {
    fail(ErrorCode::kInvalidArgument, label(), " freezes every parameter: nothing is left to fine-tune");
  }
  return std::move(collector.decisions);
}

}  // namespace palimpsest::plugin
