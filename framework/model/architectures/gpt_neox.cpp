// GPT-NeoX, as which Pythia is stored: query, key and value fused head by head, rotary positions over a part of each
// head, attention and MLP side by side, each behind a norm of its own, or one after the other.
#include <array>

#include "base/error.hpp"
#include "model/architectures/common.hpp"
#include "model/architectures/registry.hpp"

namespace palimpsest::model {
namespace {

constexpr std::string_view kFusedWeight = "gpt_neox.layers.{}.attention.query_key_value.weight";
constexpr std::string_view kFusedBias = "gpt_neox.layers.{}.attention.query_key_value.bias";

constexpr std::array kTensors = {
    TensorName{"embed.weight", "gpt_neox.embed_in.weight"},
    TensorName{"layers.{}.attention_norm.weight", "gpt_neox.layers.{}.input_layernorm.weight"},
    TensorName{"layers.{}.attention_norm.bias", "gpt_neox.layers.{}.input_layernorm.bias"},
    TensorName{"layers.{}.attention.query.weight", kFusedWeight, false, Fused::kByHead, 0},
    TensorName{"layers.{}.attention.query.bias", kFusedBias, false, Fused::kByHead, 0},
    TensorName{"layers.{}.attention.key.weight", kFusedWeight, false, Fused::kByHead, 1},
    TensorName{"layers.{}.attention.key.bias", kFusedBias, false, Fused::kByHead, 1},
    TensorName{"layers.{}.attention.value.weight", kFusedWeight, false, Fused::kByHead, 2},
    TensorName{"layers.{}.attention.value.bias", kFusedBias, false, Fused::kByHead, 2},
    TensorName{"layers.{}.attention.out.weight", "gpt_neox.layers.{}.attention.dense.weight"},
    TensorName{"layers.{}.attention.out.bias", "gpt_neox.layers.{}.attention.dense.bias"},
    TensorName{"layers.{}.mlp_norm.weight", "gpt_neox.layers.{}.post_attention_layernorm.weight"},
    TensorName{"layers.{}.mlp_norm.bias", "gpt_neox.layers.{}.post_attention_layernorm.bias"},
    TensorName{"layers.{}.mlp.up.weight", "gpt_neox.layers.{}.mlp.dense_h_to_4h.weight"},
    TensorName{"layers.{}.mlp.up.bias", "gpt_neox.layers.{}.mlp.dense_h_to_4h.bias"},
    TensorName{"layers.{}.mlp.down.weight", "gpt_neox.layers.{}.mlp.dense_4h_to_h.weight"},
    TensorName{"layers.{}.mlp.down.bias", "gpt_neox.layers.{}.mlp.dense_4h_to_h.bias"},
    TensorName{"final_norm.weight", "gpt_neox.final_layer_norm.weight"},
    TensorName{"final_norm.bias", "gpt_neox.final_layer_norm.bias"},
    TensorName{"head.weight", "embed_out.weight"},
};

// The causal mask, what stands in its place, and the frequencies.
constexpr std::array<std::string_view, 3> kBuffers = {".attention.bias", ".attention.masked_bias",
                                                      ".rotary_emb.inv_freq"};

Config read(Fields& fields) {
  Config config;
  config.layers = fields.positive("num_hidden_layers");
  read_heads(fields, "hidden_size", "num_attention_heads", config);
  config.mlp_width = fields.positive("intermediate_size");
  config.vocabulary = fields.positive("vocab_size");
  config.max_positions = fields.positive("max_position_embeddings", 2048);
  config.norm = NormKind::kLayer;
  config.norm_eps = fields.number("layer_norm_eps", 1e-5);
  config.parallel_block = fields.boolean("use_parallel_residual", true);
  config.activation = read_activation(fields, "hidden_act", "gelu");
  config.gated_mlp = false;
  config.qkv_bias = config.attention_out_bias = fields.boolean("attention_bias", true);
  config.mlp_bias = config.norm_bias = true;
  config.tied_head = fields.boolean("tie_word_embeddings", false);

  // The family's own names decide, as in transformers; the common ones may only repeat them.
  config.rotary.theta = fields.number("rotary_emb_base", 10000.0);
  config.rotary.fraction = fields.number("rotary_pct", 0.25);
  fields.refuse_unless("rope_theta", config.rotary.theta, "rotary_emb_base decides, and is another");
  fields.refuse_unless("partial_rotary_factor", config.rotary.fraction, "rotary_pct decides, and is another");
  read_rope_table(fields, config.rotary);
  read_bookkeeping(fields);
  return config;
}

}  // namespace

constinit const Architecture kGptNeoX = {"gpt_neox", "Pythia, GPT-NeoX 20B", "", read, kTensors, "gpt_neox.", kBuffers};

}  // namespace palimpsest::model
