// model/1
#include <ATen/ATen.h>

#include <cstddef>

#include "base/error.hpp"
#include "model/decoder.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

// Thrown through forward by a callback that failed; carries the plugin's own status out again.
struct CallbackFailure {
  palimpsest_status status;
};

palimpsest_status info(palimpsest_model* model, palimpsest_model_info* out) {
  return guarded([&] { *out = model_info_of(model->opened->config); });
}

palimpsest_status parameter(palimpsest_model* model, palimpsest_stage stage, palimpsest_text name,
                            palimpsest_tensor* out) {
  return guarded([&] { *out = new_handle(model->at(stage).at(view(name)).detach()); });
}

palimpsest_status update(palimpsest_model* model, int64_t index, int64_t* count, palimpsest_text* parameter_name,
                         palimpsest_tensor* u, palimpsest_tensor* v, palimpsest_tensor* dense) {
  return guarded([&] {
    refuse_in_compute(model->store_scope, PALIMPSEST_STORE_ON_WEIGHTS, "model/1 update");
    *count = static_cast<int64_t>(model->updates.size());
    if (index < 0) return;
    if (index >= *count) fail(ErrorCode::kOutOfRange, "update ", index, " of ", *count);
    const model::Update& recorded = model->updates[static_cast<std::size_t>(index)];
    *parameter_name = text_of(recorded.parameter);
    *u = recorded.u.defined() ? new_handle(recorded.u) : nullptr;
    *v = recorded.v.defined() ? new_handle(recorded.v) : nullptr;
    *dense = recorded.dense.defined() ? new_handle(recorded.dense) : nullptr;
  });
}

std::vector<model::RowPosition> positions(const palimpsest_position* at, size_t count) {
  std::vector<model::RowPosition> list;
  for (size_t i = 0; i < count; ++i) list.push_back({at[i].row, at[i].position});
  return list;
}

model::Replacement replacement_of(const palimpsest_replacement& raw, const model::Config& config) {
  model::Replacement replacement;
  replacement.site = model::parse_site(view(raw.site), config);
  replacement.mode =
      raw.mode == PALIMPSEST_REPLACE_ADD ? model::Replacement::Mode::kAdd : model::Replacement::Mode::kSet;
  if (raw.callback == nullptr) {
    replacement.at = positions(raw.at, raw.at_count);
    replacement.value = tensor_of(raw.value);
    return replacement;
  }
  replacement.callback = [callback = raw.callback, context = raw.callback_context](const at::Tensor& site) {
    palimpsest_tensor replaced = nullptr;
    at::Tensor shown = site;
    const palimpsest_status status = callback(context, reinterpret_cast<palimpsest_tensor>(&shown), &replaced);
    if (status != PALIMPSEST_OK) throw CallbackFailure{status};
    const std::unique_ptr<at::Tensor> owned(reinterpret_cast<at::Tensor*>(replaced));
    return tensor_of(replaced);
  };
  return replacement;
}

model::ForwardRequest request_of(const palimpsest_forward_request& raw, const model::Config& config) {
  if (raw.rows < 1 || raw.tokens < 1) {
    fail(ErrorCode::kInvalidArgument, "a forward of ", raw.rows, " rows and ", raw.tokens,
         " tokens; at least one of each is needed");
  }
  model::ForwardRequest request;
  request.token_ids = at::from_blob(const_cast<int64_t*>(raw.token_ids), {raw.rows, raw.tokens}, at::kLong).clone();
  request.lengths.assign(raw.lengths, raw.lengths + raw.rows);
  if (raw.cache != nullptr) request.cache = &raw.cache->cache;
  if (raw.cache_rows != nullptr) request.cache_rows.assign(raw.cache_rows, raw.cache_rows + raw.rows);
  request.return_cache = raw.return_cache != 0;
  request.first_layer = raw.first_layer;
  request.last_layer = raw.last_layer;
  if (raw.hidden != nullptr) request.hidden = tensor_of(raw.hidden);
  for (size_t i = 0; i < raw.capture_count; ++i)
    request.capture.push_back(model::parse_site(view(raw.capture[i]), config));
  for (size_t i = 0; i < raw.replace_count; ++i) request.replace.push_back(replacement_of(raw.replace[i], config));
  request.logits = positions(raw.logits, raw.logit_count);
  for (size_t i = 0; i < raw.logprob_count; ++i) {
    request.logprobs.push_back({raw.logprobs[i].row, raw.logprobs[i].position, raw.target_ids[i]});
  }
  for (size_t i = 0; i < raw.override_count; ++i) {
    const palimpsest_override& o = raw.overrides[i];
    model::Override made;
    if (o.dense != nullptr) made.dense = tensor_of(o.dense);
    if (o.u != nullptr) made.u = tensor_of(o.u);
    if (o.v != nullptr) made.v = tensor_of(o.v);
    request.overrides.insert_or_assign(std::string(view(o.parameter)), std::move(made));
  }
  return request;
}

palimpsest_status forward(palimpsest_model* model, const palimpsest_forward_request* raw,
                          palimpsest_forward_result* out) {
  palimpsest_status callback_status = PALIMPSEST_OK;
  const palimpsest_status status = guarded([&] {
    const model::Config& config = model->opened->config;
    try {
      model::ForwardRequest request = request_of(*raw, config);
      if (raw->stage == PALIMPSEST_STAGE_CURRENT) {
        request.overrides.insert(model->adapters.begin(), model->adapters.end());
      }
      request.recompute_layers = model->recompute_layers;
      model::ForwardResult result = model::forward(config, model->at(raw->stage), request);
      for (size_t i = 0; i < result.captured.size(); ++i) out->captured[i] = new_handle(result.captured[i]);
      // Float32, as the contract says, also of a model in bfloat16.
      const bool reduced = result.logits.defined() && at::isReducedFloatingType(result.logits.scalar_type());
      if (reduced) result.logits = result.logits.to(at::kFloat);
      out->logits = result.logits.defined() ? new_handle(result.logits) : nullptr;
      out->logprobs = result.logprobs.defined() ? new_handle(result.logprobs) : nullptr;
      out->hidden = new_handle(result.hidden);
      out->cache = raw->return_cache != 0 ? new palimpsest_cache{std::move(result.cache)} : nullptr;
    } catch (const CallbackFailure& failure) {
      callback_status = failure.status;
    }
  });
  return callback_status != PALIMPSEST_OK ? callback_status : status;
}

void release_cache(palimpsest_model*, palimpsest_cache* cache) { delete cache; }

}  // namespace

palimpsest_model_info model_info_of(const model::Config& config) {
  return {config.layers, config.hidden, config.mlp_width, config.vocabulary, config.heads, config.max_positions};
}

const palimpsest_model_v1& model_service() {
  static constexpr palimpsest_model_v1 kTable = {info, parameter, update, forward, release_cache};
  return kTable;
}

}  // namespace palimpsest::plugin
