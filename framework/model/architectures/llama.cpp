// Llama, and the families that took its blocks and its names over: Mistral, Qwen2 and Qwen3.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "model/architectures/common.hpp"
#include "model/architectures/registry.hpp"

namespace palimpsest::model {
namespace {

constexpr std::array kTensors = {
    TensorName{"embed.weight", "model.embed_tokens.weight"},
    TensorName{"layers.{}.attention_norm.weight", "model.layers.{}.input_layernorm.weight"},
    TensorName{"layers.{}.attention.query.weight", "model.layers.{}.self_attn.q_proj.weight"},
    TensorName{"layers.{}.attention.query.bias", "model.layers.{}.self_attn.q_proj.bias"},
    TensorName{"layers.{}.attention.key.weight", "model.layers.{}.self_attn.k_proj.weight"},
    TensorName{"layers.{}.attention.key.bias", "model.layers.{}.self_attn.k_proj.bias"},
    TensorName{"layers.{}.attention.value.weight", "model.layers.{}.self_attn.v_proj.weight"},
    TensorName{"layers.{}.attention.value.bias", "model.layers.{}.self_attn.v_proj.bias"},
    TensorName{"layers.{}.attention.query_norm.weight", "model.layers.{}.self_attn.q_norm.weight"},
    TensorName{"layers.{}.attention.key_norm.weight", "model.layers.{}.self_attn.k_norm.weight"},
    TensorName{"layers.{}.attention.out.weight", "model.layers.{}.self_attn.o_proj.weight"},
    TensorName{"layers.{}.attention.out.bias", "model.layers.{}.self_attn.o_proj.bias"},
    TensorName{"layers.{}.mlp_norm.weight", "model.layers.{}.post_attention_layernorm.weight"},
    TensorName{"layers.{}.mlp.gate.weight", "model.layers.{}.mlp.gate_proj.weight"},
    TensorName{"layers.{}.mlp.gate.bias", "model.layers.{}.mlp.gate_proj.bias"},
    TensorName{"layers.{}.mlp.up.weight", "model.layers.{}.mlp.up_proj.weight"},
    TensorName{"layers.{}.mlp.up.bias", "model.layers.{}.mlp.up_proj.bias"},
    TensorName{"layers.{}.mlp.down.weight", "model.layers.{}.mlp.down_proj.weight"},
    TensorName{"layers.{}.mlp.down.bias", "model.layers.{}.mlp.down_proj.bias"},
    TensorName{"final_norm.weight", "model.norm.weight"},
    TensorName{"head.weight", "lm_head.weight"},
};

constexpr std::array<std::string_view, 1> kBuffers = {".rotary_emb.inv_freq"};

// What a family takes where config.json does not say it.
struct Defaults {
  std::int64_t kv_heads;  // 0: as many as heads
  std::int64_t head_dim;  // 0: hidden_size / num_attention_heads
  std::int64_t max_positions;
};

std::int64_t or_default(Fields& fields, std::string_view key, std::int64_t fallback, std::int64_t where_null) {
  if (!fields.has(key) && fallback > 0) return fallback;
  return fields.positive(key, where_null);
}

Config read_shared(Fields& fields, const Defaults& defaults) {
  Config config;
  config.layers = fields.positive("num_hidden_layers");
  config.hidden = fields.positive("hidden_size");
  config.heads = fields.positive("num_attention_heads");
  config.kv_heads = or_default(fields, "num_key_value_heads", defaults.kv_heads, config.heads);
  if (fields.find("head_dim") == nullptr && defaults.head_dim == 0 && config.hidden % config.heads != 0) {
    fail(ErrorCode::kInvalidArgument, fields.origin(), ": hidden_size ", config.hidden,
         " is no multiple of num_attention_heads ", config.heads, ", and head_dim is not given");
  }
  config.head_dim =
      or_default(fields, "head_dim", defaults.head_dim, std::max<std::int64_t>(1, config.hidden / config.heads));
  config.mlp_width = fields.positive("intermediate_size");
  config.vocabulary = fields.positive("vocab_size");
  config.max_positions = fields.positive("max_position_embeddings", defaults.max_positions);
  config.norm_eps = fields.number("rms_norm_eps", 1e-6);
  config.activation = read_activation(fields, "hidden_act", "silu");
  config.gated_mlp = true;
  config.tied_head = fields.boolean("tie_word_embeddings", false);
  read_rope(fields, config.rotary);
  read_bookkeeping(fields);
  return config;
}

Config read_llama(Fields& fields) {
  Config config = read_shared(fields, {.kv_heads = 0, .head_dim = 0, .max_positions = 2048});
  config.qkv_bias = fields.boolean("attention_bias", false);
  config.attention_out_bias = config.qkv_bias;
  config.mlp_bias = fields.boolean("mlp_bias", false);
  if (fields.boolean("rope_interleaved", false)) config.rotary.layout = RotaryLayout::kInterleaved;
  // Tensor parallelism of pre-training: above 1 the products were summed in slices.
  fields.refuse_unless("pretraining_tp", 1.0, "only 1");
  check_layer_types(fields, "full_attention");
  fields.ignore({"max_window_layers"});
  return config;
}

Config read_mistral(Fields& fields) {
  Config config = read_shared(fields, {.kv_heads = 8, .head_dim = 0, .max_positions = 131072});
  // null is no limit; a config that does not name it means the window of the first Mistral.
  if (!fields.has("sliding_window")) {
    config.sliding_window = 4096;
  } else if (fields.find("sliding_window") != nullptr) {
    config.sliding_window = fields.positive("sliding_window");
  }
  check_layer_types(fields, config.sliding_window > 0 ? "sliding_attention" : "full_attention");
  return config;
}

// Windows are for layers from max_window_layers on, and no published Qwen switches them on.
void refuse_window(Fields& fields) {
  fields.refuse_unless("use_sliding_window", 0.0, "attention over a sliding window; only false");
  fields.ignore({"sliding_window", "max_window_layers"});
  check_layer_types(fields, "full_attention");
}

Config read_qwen2(Fields& fields) {
  Config config = read_shared(fields, {.kv_heads = 32, .head_dim = 0, .max_positions = 32768});
  config.qkv_bias = true;
  refuse_window(fields);
  fields.refuse_unless("use_mrope", 0.0, "rotary positions of images");
  return config;
}

Config read_qwen3(Fields& fields) {
  Config config = read_shared(fields, {.kv_heads = 32, .head_dim = 128, .max_positions = 32768});
  config.qk_norm = true;
  config.qkv_bias = fields.boolean("attention_bias", false);
  config.attention_out_bias = config.qkv_bias;
  refuse_window(fields);
  return config;
}

}  // namespace

constinit const Architecture kLlama = {
    "llama", "Llama 2 and 3, SmolLM2", "`pretraining_tp` above 1", read_llama, kTensors, "model.", kBuffers};
constinit const Architecture kMistral = {
    "mistral", "Mistral 7B", "sequences longer than `sliding_window`", read_mistral, kTensors, "model.", kBuffers};
constinit const Architecture kQwen2 = {"qwen2",  "Qwen2, Qwen2.5", "`use_sliding_window = true`", read_qwen2, kTensors,
                                       "model.", kBuffers};
constinit const Architecture kQwen3 = {"qwen3",  "Qwen3, dense", "`use_sliding_window = true`", read_qwen3, kTensors,
                                       "model.", kBuffers};

}  // namespace palimpsest::model
