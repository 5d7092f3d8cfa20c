#include "model/architectures/fields.hpp"

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/log.hpp"

namespace palimpsest::model {
namespace {

// Fields of transformers' configs that change a decoder's numbers. Read by an architecture that offers them; otherwise
// a model that sets one would be computed wrongly without a word.
constexpr std::array kChangesNumbers = {
    "quantization_config",
    "sliding_window",
    "use_sliding_window",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "embedding_multiplier",
    "residual_multiplier",
    "attention_multiplier",
    "logits_scaling",
    "num_local_experts",
    "num_experts",
    "query_pre_attn_scalar",
    "no_rope_layers",
    "partial_rotary_factor",
    "rope_interleaved",
    "qk_layernorm",
    "use_qk_norm",
    "use_parallel_residual",
    "parallel_attn",
    "scale_embeddings",
    "logit_scale",
    "attention_chunk_size",
    "attn_scale",
    "layer_types",
    "add_cross_attention",
    "alibi",
    "multi_query",
    "new_decoder_architecture",
    "position_embedding_type",
    "scale_attn_by_inverse_layer_idx",
};

bool is_off(const nlohmann::json& value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) || (value.is_array() && value.empty());
}

std::string shown(const nlohmann::json& value) {
  std::string text = value.dump();
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

}  // namespace

Fields::Fields(const nlohmann::json& object, std::string_view origin) : object_(object), origin_(origin) {
  if (!object.is_object()) {
    fail(ErrorCode::kCorrupt, origin_, ": expected a JSON object, found ", shown(object));
  }
}

const nlohmann::json* Fields::find(std::string_view key) {
  seen_.emplace(key);
  const auto it = object_.find(std::string(key));
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::int64_t Fields::positive(std::string_view key) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) fail(ErrorCode::kInvalidArgument, origin_, ": the field \"", key, "\" is missing");
  // A bound far above any model keeps products of two such numbers inside 64 bits.
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  if (!value->is_number_integer() || value->get<std::int64_t>() < 1 || value->get<std::int64_t>() > kMost) {
    fail(ErrorCode::kInvalidArgument, origin_, ": the field \"", key, "\" is ", shown(*value),
         ", expected an integer from 1 to ", kMost);
  }
  return value->get<std::int64_t>();
}

std::int64_t Fields::positive(std::string_view key, std::int64_t fallback) {
  return find(key) == nullptr ? fallback : positive(key);
}

double Fields::number(std::string_view key) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) fail(ErrorCode::kInvalidArgument, origin_, ": the field \"", key, "\" is missing");
  if (!value->is_number()) {
    fail(ErrorCode::kInvalidArgument, origin_, ": the field \"", key, "\" is ", shown(*value), ", expected a number");
  }
  return value->get<double>();
}

double Fields::number(std::string_view key, double fallback) { return find(key) == nullptr ? fallback : number(key); }

bool Fields::boolean(std::string_view key, bool fallback) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) {
    fail(ErrorCode::kInvalidArgument, origin_, ": the field \"", key, "\" is ", shown(*value),
         ", expected true or false");
  }
  return value->get<bool>();
}

std::string Fields::text(std::string_view key, std::string_view fallback) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (!value->is_string()) {
    fail(ErrorCode::kInvalidArgument, origin_, ": the field \"", key, "\" is ", shown(*value), ", expected a string");
  }
  return value->get<std::string>();
}

const nlohmann::json* Fields::object(std::string_view key) {
  const nlohmann::json* value = find(key);
  if (value != nullptr && !value->is_object()) {
    fail(ErrorCode::kInvalidArgument, origin_, ": the field \"", key, "\" is ", shown(*value), ", expected an object");
  }
  return value;
}

bool Fields::has(std::string_view key) const { return object_.contains(std::string(key)); }

void Fields::ignore(std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) seen_.emplace(key);
}

void Fields::refuse_unless(std::string_view key, double neutral, std::string_view why) {
  const nlohmann::json* value = find(key);
  if (value == nullptr || is_off(*value) || (value->is_number() && value->get<double>() == neutral)) return;
  fail(ErrorCode::kUnsupported, origin_, ": \"", key, "\": ", shown(*value), " is not supported: ", why);
}

void Fields::finish() {
  for (const auto& [key, value] : object_.items()) {
    if (seen_.contains(key) || is_off(value)) continue;
    for (const std::string_view changing : kChangesNumbers) {
      if (key == changing) {
        fail(ErrorCode::kUnsupported, origin_, ": \"", key, "\": ", shown(value),
             " changes what the model computes and is not supported for this model_type");
      }
    }
    log::warning(cat(origin_, ": the field \"", key, "\" is not known and was ignored"));
  }
}

}  // namespace palimpsest::model
