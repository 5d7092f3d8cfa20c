// The model runtime as an author sees it: build a Forward, run it, read tensors. See services/model.h for what each
// part means.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "palimpsest/sdk/tensor.hpp"
#include "palimpsest/services/generation.h"
#include "palimpsest/services/model.h"
#include "palimpsest/services/parameters.h"
#include "palimpsest/services/update_origin.h"

namespace palimpsest::sdk {

using Position = palimpsest_position;
enum class Stage : palimpsest_stage {
  kCurrent = PALIMPSEST_STAGE_CURRENT,
  kBase = PALIMPSEST_STAGE_BASE,
  kEdited = PALIMPSEST_STAGE_EDITED
};

// Names of sites, the points of the forward pass that can be captured and replaced; values a token:
//
//   embed.out               residual stream that enters layer 0                        [hidden]
//   layers.N.attention.out  output of the attention's out-projection                   [hidden]
//   layers.N.mlp.key        input of the MLP's down-projection                         [mlp_width]
//   layers.N.mlp.value      output of the MLP's down-projection                        [hidden]
//   layers.N.out            residual stream after block N                              [hidden]
//   final.out               after the final norm, input of the head                    [hidden]
//
// Names of parameters, matrices always [out, in]: embed.weight, positions.weight, layers.N.attention_norm.weight,
// layers.N.attention.{query,key,value,out}.weight, layers.N.attention.{query_norm,key_norm}.weight,
// layers.N.mlp_norm.weight, layers.N.mlp.{gate,up,down}.weight, final_norm.weight and head.weight (absent when tied to
// embed.weight), and the same with .bias; each where the model has it.
inline constexpr std::string_view kEmbedOutSite = "embed.out";
inline constexpr std::string_view kFinalOutSite = "final.out";
inline std::string layer_site(std::int64_t layer, std::string_view point) {
  return "layers." + std::to_string(layer) + "." + std::string(point);
}
inline std::string attention_out_site(std::int64_t layer) { return layer_site(layer, "attention.out"); }
inline std::string mlp_key_site(std::int64_t layer) { return layer_site(layer, "mlp.key"); }
inline std::string mlp_value_site(std::int64_t layer) { return layer_site(layer, "mlp.value"); }
inline std::string layer_out_site(std::int64_t layer) { return layer_site(layer, "out"); }
inline std::string mlp_down_parameter(std::int64_t layer) { return layer_site(layer, "mlp.down.weight"); }

// An owned key/value cache of a forward.
class Cache {
 public:
  Cache() = default;
  Cache(palimpsest_model* model, const palimpsest_model_v1* api, palimpsest_cache* handle)
      : model_(model), api_(api), handle_(handle) {}
  Cache(Cache&& other) noexcept { swap(other); }
  Cache& operator=(Cache&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Cache() {
    if (handle_ != nullptr) api_->release_cache(model_, handle_);
  }
  const palimpsest_cache* get() const { return handle_; }

 private:
  void swap(Cache& other) noexcept {
    std::swap(model_, other.model_);
    std::swap(api_, other.api_);
    std::swap(handle_, other.handle_);
  }
  palimpsest_model* model_ = nullptr;
  const palimpsest_model_v1* api_ = nullptr;
  palimpsest_cache* handle_ = nullptr;
};

struct ForwardResult {
  std::vector<Tensor> captured;  // in the order of capture(), each [rows, tokens, D]
  Tensor logits;                 // [asked, vocabulary]
  Tensor logprobs;               // [asked]
  Tensor hidden;                 // [rows, tokens, hidden]
  Cache cache;
};

// A request under construction. What is passed by reference (a Cache) must live until run; tensors are retained.
class Forward {
 public:
  // Rows of token ids of any lengths >= 1; padded on the right here.
  explicit Forward(const std::vector<std::vector<std::int64_t>>& rows) : rows_(static_cast<std::int64_t>(rows.size())) {
    for (const auto& row : rows) tokens_ = std::max(tokens_, static_cast<std::int64_t>(row.size()));
    for (const auto& row : rows) {
      lengths_.push_back(static_cast<std::int64_t>(row.size()));
      ids_.insert(ids_.end(), row.begin(), row.end());
      ids_.resize(ids_.size() + static_cast<std::size_t>(tokens_ - lengths_.back()), 0);
    }
  }

  Forward& stage(Stage stage) {
    stage_ = stage;
    return *this;
  }
  // Row i continues row cache_rows[i] of the cache (empty: row i).
  Forward& continuing(const Cache& cache, std::vector<std::int64_t> cache_rows = {}) {
    cache_ = cache.get();
    cache_rows_ = std::move(cache_rows);
    return *this;
  }
  Forward& returning_cache() {
    return_cache_ = true;
    return *this;
  }
  // Starts at `layer` with `hidden` [rows, tokens, hidden] as its input.
  Forward& from_layer(std::int64_t layer, Tensor hidden) {
    first_layer_ = layer;
    hidden_ = std::move(hidden);
    return *this;
  }
  // Stops after `layer`.
  Forward& to_layer(std::int64_t layer) {
    last_layer_ = layer;
    return *this;
  }
  Forward& capture(std::string site) {
    capture_.push_back(std::move(site));
    return *this;
  }
  // Sets, or adds, `value` ([at.size(), D] or [D]) at these tokens of the site.
  Forward& replace(std::string site, palimpsest_replace_mode mode, std::vector<Position> at, Tensor value) {
    replacements_.push_back({std::move(site), mode, std::move(at), std::move(value), {}});
    return *this;
  }
  // Passes the site's value [rows, tokens, D] through `function`.
  Forward& replace(std::string site, std::function<Tensor(const Tensor&)> function) {
    replacements_.push_back({std::move(site), PALIMPSEST_REPLACE_SET, {}, {}, std::move(function)});
    return *this;
  }
  Forward& logits(std::vector<Position> at) {
    logits_ = std::move(at);
    return *this;
  }
  // log p(targets[i]) as predicted at at[i].
  Forward& logprobs(std::vector<Position> at, std::vector<std::int64_t> targets) {
    logprobs_ = std::move(at);
    targets_ = std::move(targets);
    return *this;
  }
  Forward& override_with(std::string parameter, Tensor dense) {
    overrides_.push_back({std::move(parameter), std::move(dense), {}, {}});
    return *this;
  }
  Forward& override_with(std::string parameter, Tensor u, Tensor v) {
    overrides_.push_back({std::move(parameter), {}, std::move(u), std::move(v)});
    return *this;
  }

 private:
  friend class Model;
  struct Replacement {
    std::string site;
    palimpsest_replace_mode mode;
    std::vector<Position> at;
    Tensor value;
    std::function<Tensor(const Tensor&)> function;
  };
  struct Override {
    std::string parameter;
    Tensor dense, u, v;
  };

  std::int64_t rows_ = 0, tokens_ = 0;
  std::vector<std::int64_t> ids_, lengths_, cache_rows_, targets_;
  Stage stage_ = Stage::kCurrent;
  bool return_cache_ = false;
  const palimpsest_cache* cache_ = nullptr;
  std::int64_t first_layer_ = 0, last_layer_ = -1;
  Tensor hidden_;
  std::vector<std::string> capture_;
  std::vector<Replacement> replacements_;
  std::vector<Position> logits_, logprobs_;
  std::vector<Override> overrides_;
};

struct GenerationOptions {
  Stage stage = Stage::kCurrent;
  std::int32_t max_new_tokens = 50;
  std::vector<std::string> stop_texts;
  double temperature = 0;  // 0: greedy
  double top_p = 1;
  std::string stream;  // of random numbers; every prompt draws from one of its own, by its place in the list
};

struct Continuation {
  std::string text;
  std::vector<std::int64_t> ids;
};

// A recorded update of the edit: low rank (u, v) or dense.
struct RecordedUpdate {
  std::string parameter;
  Tensor u, v, dense;
  std::int64_t ordinal = -1;  // of the stage that edited
  // Ids, one a request of the editor's call; services/update_origin.h says what is whose.
  std::vector<std::string> facts;
};

// A parameter of the model.
struct ParameterInfo {
  std::string_view name;
  std::string_view role;
  std::int64_t layer;  // -1: none
  std::int64_t rows, columns;
  bool tied;
};
inline ParameterInfo parameter_info(const palimpsest_parameter_info& raw) {
  return {view(raw.name), view(raw.role), raw.layer, raw.rows, raw.columns, raw.tied != 0};
}

// The model of a call; lives for the call.
class Model {
 public:
  Model(const palimpsest_host* host, palimpsest_model* model)
      : host_(host), model_(model), api_(&service<palimpsest_model_v1>(host, PALIMPSEST_MODEL_1)) {}

  const palimpsest_host* host() const { return host_; }
  palimpsest_model* get() const { return model_; }

  palimpsest_model_info info() const {
    palimpsest_model_info out{};
    check(host_, api_->info(model_, &out));
    return out;
  }
  Tensor parameter(std::string_view name, Stage stage = Stage::kCurrent) const {
    palimpsest_tensor handle = nullptr;
    check(host_, api_->parameter(model_, static_cast<palimpsest_stage>(stage), text(name), &handle));
    return Tensor::adopt(host_, handle);
  }
  // All, in the order of the forward pass.
  std::vector<ParameterInfo> parameters() const {
    const auto& table = service<palimpsest_parameters_v1>(host_, PALIMPSEST_PARAMETERS_1);
    std::int64_t count = 0;
    check(host_, table.info(model_, -1, &count, nullptr));
    std::vector<ParameterInfo> all;
    for (std::int64_t i = 0; i < count; ++i) {
      palimpsest_parameter_info raw{};
      check(host_, table.info(model_, i, &count, &raw));
      all.push_back(parameter_info(raw));
    }
    return all;
  }
  std::vector<RecordedUpdate> updates() const {
    std::int64_t count = 0;
    check(host_, api_->update(model_, -1, &count, nullptr, nullptr, nullptr, nullptr));
    std::vector<RecordedUpdate> all;
    for (std::int64_t i = 0; i < count; ++i) {
      palimpsest_text name{};
      palimpsest_tensor u = nullptr, v = nullptr, dense = nullptr;
      check(host_, api_->update(model_, i, &count, &name, &u, &v, &dense));
      all.push_back({std::string(view(name)), adopt(u), adopt(v), adopt(dense), -1, {}});
    }
    const auto& origins = service<palimpsest_update_origin_v1>(host_, PALIMPSEST_UPDATE_ORIGIN_1);
    for (std::int64_t i = 0; i < count; ++i) {
      RecordedUpdate& update = all[static_cast<std::size_t>(i)];
      palimpsest_update_origin origin{};
      check(host_, origins.origin(model_, i, &origin));
      update.ordinal = origin.ordinal;
      for (std::int64_t r = 0; r < origin.request_count; ++r) {
        palimpsest_text id{};
        check(host_, origins.fact(model_, i, r, &id));
        update.facts.emplace_back(view(id));
      }
    }
    return all;
  }

  ForwardResult run(const Forward& forward) const {
    std::vector<palimpsest_text> capture;
    for (const auto& site : forward.capture_) capture.push_back(text(site));
    std::exception_ptr thrown;
    std::deque<Trampoline> trampolines;
    std::vector<palimpsest_replacement> replace;
    for (const auto& r : forward.replacements_) {
      palimpsest_replacement raw{};
      raw.site = text(r.site);
      raw.mode = r.mode;
      raw.at = r.at.data();
      raw.at_count = r.at.size();
      raw.value = r.value.get();
      if (r.function) {
        raw.callback_context = &trampolines.emplace_back(Trampoline{host_, &r.function, &thrown});
        raw.callback = &Trampoline::call;
      }
      replace.push_back(raw);
    }
    std::vector<palimpsest_override> overrides;
    for (const auto& o : forward.overrides_) {
      overrides.push_back({text(o.parameter), o.dense.get(), o.u.get(), o.v.get()});
    }
    palimpsest_forward_request request{};
    request.stage = static_cast<palimpsest_stage>(forward.stage_);
    request.return_cache = forward.return_cache_ ? 1 : 0;
    request.token_ids = forward.ids_.data();
    request.rows = forward.rows_;
    request.tokens = forward.tokens_;
    request.lengths = forward.lengths_.data();
    request.cache = forward.cache_;
    request.cache_rows = forward.cache_rows_.empty() ? nullptr : forward.cache_rows_.data();
    request.first_layer = forward.first_layer_;
    request.last_layer = forward.last_layer_;
    request.hidden = forward.hidden_.get();
    request.capture = capture.data();
    request.capture_count = capture.size();
    request.replace = replace.data();
    request.replace_count = replace.size();
    request.logits = forward.logits_.data();
    request.logit_count = forward.logits_.size();
    request.logprobs = forward.logprobs_.data();
    request.target_ids = forward.targets_.data();
    request.logprob_count = forward.logprobs_.size();
    request.overrides = overrides.data();
    request.override_count = overrides.size();

    std::vector<palimpsest_tensor> captured(capture.size(), nullptr);
    palimpsest_forward_result raw{};
    raw.captured = captured.data();
    const palimpsest_status status = api_->forward(model_, &request, &raw);
    if (thrown) std::rethrow_exception(thrown);
    check(host_, status);
    ForwardResult result;
    for (palimpsest_tensor handle : captured) result.captured.push_back(adopt(handle));
    result.logits = adopt(raw.logits);
    result.logprobs = adopt(raw.logprobs);
    result.hidden = adopt(raw.hidden);
    if (raw.cache != nullptr) result.cache = Cache(model_, api_, raw.cache);
    return result;
  }

  std::vector<Continuation> generate(const std::vector<std::string>& prompts, const GenerationOptions& options) const {
    std::vector<palimpsest_text> texts, stops;
    for (const auto& prompt : prompts) texts.push_back(text(prompt));
    for (const auto& stop : options.stop_texts) stops.push_back(text(stop));
    palimpsest_generation_request request{};
    request.stage = static_cast<palimpsest_stage>(options.stage);
    request.max_new_tokens = options.max_new_tokens;
    request.prompts = texts.data();
    request.prompt_count = texts.size();
    request.stop_texts = stops.data();
    request.stop_count = stops.size();
    request.temperature = options.temperature;
    request.top_p = options.top_p;
    request.stream = text(options.stream);
    std::vector<Continuation> all(prompts.size());
    const palimpsest_generation_sink sink{
        &all, [](void* context, std::size_t index, palimpsest_text made, const std::int64_t* ids, std::size_t count) {
          auto& continuation = (*static_cast<std::vector<Continuation>*>(context))[index];
          continuation.text = std::string(view(made));
          continuation.ids.assign(ids, ids + count);
          return palimpsest_status{PALIMPSEST_OK};
        }};
    check(host_, service<palimpsest_generation_v1>(host_, PALIMPSEST_GENERATION_1).generate(model_, &request, &sink));
    return all;
  }

 private:
  // Carries an author's exception through the host's frames and back out of run().
  struct Trampoline {
    const palimpsest_host* host;
    const std::function<Tensor(const Tensor&)>* function;
    std::exception_ptr* thrown;
    static palimpsest_status call(void* context, palimpsest_tensor site, palimpsest_tensor* replaced) {
      const auto& self = *static_cast<Trampoline*>(context);
      try {
        const Tensor made = (*self.function)(Tensor::retain(self.host, site));
        const auto& tensors = service<palimpsest_tensor_v1>(self.host, PALIMPSEST_TENSOR_1);
        return tensors.retain(self.host, made.get(), replaced);
      } catch (...) {
        *self.thrown = std::current_exception();
        return PALIMPSEST_INTERNAL;
      }
    }
  };

  Tensor adopt(palimpsest_tensor handle) const { return handle == nullptr ? Tensor() : Tensor::adopt(host_, handle); }

  const palimpsest_host* host_;
  palimpsest_model* model_;
  const palimpsest_model_v1* api_;
};

}  // namespace palimpsest::sdk
