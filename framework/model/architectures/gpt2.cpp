// GPT-2 of every size, and what was trained with its code.
#include <array>

#include "base/error.hpp"
#include "model/architectures/common.hpp"
#include "model/architectures/registry.hpp"

namespace palimpsest::model {
namespace {

constexpr bool kConv1D = true;  // GPT-2's own linear layer stores its matrix [in, out]

constexpr std::array kTensors = {
    TensorName{"embed.weight", "transformer.wte.weight"},
    TensorName{"positions.weight", "transformer.wpe.weight"},
    TensorName{"layers.{}.attention_norm.weight", "transformer.h.{}.ln_1.weight"},
    TensorName{"layers.{}.attention_norm.bias", "transformer.h.{}.ln_1.bias"},
    TensorName{"layers.{}.attention.query.weight", "transformer.h.{}.attn.c_attn.weight", kConv1D, Fused::kStacked, 0},
    TensorName{"layers.{}.attention.query.bias", "transformer.h.{}.attn.c_attn.bias", false, Fused::kStacked, 0},
    TensorName{"layers.{}.attention.key.weight", "transformer.h.{}.attn.c_attn.weight", kConv1D, Fused::kStacked, 1},
    TensorName{"layers.{}.attention.key.bias", "transformer.h.{}.attn.c_attn.bias", false, Fused::kStacked, 1},
    TensorName{"layers.{}.attention.value.weight", "transformer.h.{}.attn.c_attn.weight", kConv1D, Fused::kStacked, 2},
    TensorName{"layers.{}.attention.value.bias", "transformer.h.{}.attn.c_attn.bias", false, Fused::kStacked, 2},
    TensorName{"layers.{}.attention.out.weight", "transformer.h.{}.attn.c_proj.weight", kConv1D},
    TensorName{"layers.{}.attention.out.bias", "transformer.h.{}.attn.c_proj.bias"},
    TensorName{"layers.{}.mlp_norm.weight", "transformer.h.{}.ln_2.weight"},
    TensorName{"layers.{}.mlp_norm.bias", "transformer.h.{}.ln_2.bias"},
    TensorName{"layers.{}.mlp.up.weight", "transformer.h.{}.mlp.c_fc.weight", kConv1D},
    TensorName{"layers.{}.mlp.up.bias", "transformer.h.{}.mlp.c_fc.bias"},
    TensorName{"layers.{}.mlp.down.weight", "transformer.h.{}.mlp.c_proj.weight", kConv1D},
    TensorName{"layers.{}.mlp.down.bias", "transformer.h.{}.mlp.c_proj.bias"},
    TensorName{"final_norm.weight", "transformer.ln_f.weight"},
    TensorName{"final_norm.bias", "transformer.ln_f.bias"},
    TensorName{"head.weight", "lm_head.weight"},
};

// The causal mask and what stands in its place.
constexpr std::array<std::string_view, 2> kBuffers = {".attn.bias", ".attn.masked_bias"};

Config read(Fields& fields) {
  Config config;
  config.layers = fields.positive("n_layer");
  read_heads(fields, "n_embd", "n_head", config);
  config.mlp_width = fields.positive("n_inner", 4 * config.hidden);
  config.vocabulary = fields.positive("vocab_size");
  config.max_positions = fields.positive("n_positions", 1024);
  config.norm = NormKind::kLayer;
  config.norm_eps = fields.number("layer_norm_epsilon", 1e-5);
  config.positions = PositionScheme::kLearned;
  config.activation = read_activation(fields, "activation_function", "gelu_new");
  config.gated_mlp = false;
  config.qkv_bias = config.attention_out_bias = config.mlp_bias = config.norm_bias = true;
  config.tied_head = fields.boolean("tie_word_embeddings", true);

  if (!fields.boolean("scale_attn_weights", true)) {
    fail(ErrorCode::kUnsupported, fields.origin(),
         ": \"scale_attn_weights\": false is not supported: scores are divided by the root of the head's width");
  }
  fields.refuse_unless("scale_attn_by_inverse_layer_idx", 0.0, "scores that depend on the layer's number");
  // Taken in float32 whatever the model's dtype: the runtime's attention always is, so it changes nothing.
  fields.ignore({"reorder_and_upcast_attn"});
  // n_ctx is an old name of n_positions; the summary_* belong to a head that is no language model's.
  fields.ignore({"n_ctx", "summary_activation", "summary_proj_to_labels", "summary_type", "summary_use_proj"});
  read_bookkeeping(fields);
  return config;
}

constexpr std::string_view kLimits = "`scale_attn_by_inverse_layer_idx`, unscaled scores, cross-attention";

}  // namespace

constinit const Architecture kGpt2 = {
    "gpt2", "GPT-2 small to XL, DistilGPT-2", kLimits, read, kTensors, "transformer.", kBuffers};

}  // namespace palimpsest::model
