// Editors: an open transaction around apply, what apply needs, and the state between calls.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/text.hpp"
#include "plugin/call.hpp"
#include "plugin/instance.hpp"
#include "plugin/kinds/table.hpp"

namespace palimpsest::plugin {
namespace {

// An open transaction: each update is in the model's current weights as soon as it is given, so that the editor's next
// pass sees it; when apply fails, the weights before it come back.
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

}  // namespace

bool EditorNeeds::reads_moment(std::int64_t layer) const {
  return std::binary_search(second_moments.begin(), second_moments.end(), layer);
}

bool EditorNeeds::edits(std::int64_t layer) const {
  return std::binary_search(edits_layers.begin(), edits_layers.end(), layer);
}

void check_announced(const EditorNeeds& needs, std::int64_t moment_of_layer) {
  if (needs.reads_moment(moment_of_layer)) return;
  fail(ErrorCode::kInvalidArgument, "the second moment of layer ", moment_of_layer,
       " was not announced through editor.needs/1 (announced: ",
       needs.second_moments.empty() ? "none" : list_text(needs.second_moments),
       "); add the layer to Needs::second_moments");
}

void check_announced(const EditorNeeds& needs, const std::vector<model::Update>& updates,
                     const model::Parameters& parameters, const std::string& id) {
  if (!needs.says) return;
  for (const model::Update& update : updates) {
    const std::int64_t layer = parameters.info(update.parameter).layer;
    if (needs.edits(layer)) continue;
    fail(ErrorCode::kInvalidArgument, "editor ", id, " changed ", update.parameter, ", and its needs do not announce ",
         layer == kNoLayer ? "weights that belong to no layer (-1)" : cat("layer ", layer),
         "; add it to Needs::edits_layers");
  }
}

EditorNeeds Editor::needs(const palimpsest_model_info& info) const {
  EditorNeeds needs;
  const void* raw = interface(PALIMPSEST_EDITOR_NEEDS_1, /*required=*/false);
  if (raw == nullptr) return needs;
  needs.says = true;
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
    const std::int64_t least = layers == &needs.edits_layers ? kNoLayer : 0;
    for (const auto layer : *layers) {
      if (layer < least || layer >= info.layers) {
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

}  // namespace palimpsest::plugin
