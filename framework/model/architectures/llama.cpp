// Llama 2 and 3, SmolLM2 and what else says model_type "llama".
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
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

// `rope` holds the scaling's own fields: "rope_scaling" as written until transformers 4, "rope_parameters" since 5.
void read_scaling(const nlohmann::json& json, std::string_view origin, RotaryConfig& rotary) {
  Fields rope(json, origin);
  rope.ignore({"rope_theta", "partial_rotary_factor"});
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  if (type == "default") {
    rotary.scaling = RotaryScaling::kNone;
    return;
  }
  if (type == "linear") {
    rotary.scaling = RotaryScaling::kLinear;
    rotary.factor = rope.number("factor");
  } else if (type == "llama3") {
    rotary.scaling = RotaryScaling::kLlama3;
    rotary.factor = rope.number("factor");
    rotary.low_freq_factor = rope.number("low_freq_factor");
    rotary.high_freq_factor = rope.number("high_freq_factor");
    rotary.original_max_positions = rope.positive("original_max_position_embeddings");
    if (rotary.high_freq_factor <= rotary.low_freq_factor || rotary.low_freq_factor <= 0) {
      fail(ErrorCode::kInvalidArgument, origin, ": high_freq_factor ", rotary.high_freq_factor,
           " must be above low_freq_factor ", rotary.low_freq_factor, ", and both above 0");
    }
  } else {
    const std::array<std::string, 3> available = {"default", "linear", "llama3"};
    fail(ErrorCode::kUnsupported, origin, ": rope type \"", type, "\" is not supported", did_you_mean(type, available),
         "; available: default, linear, llama3");
  }
  if (!(rotary.factor > 0)) {
    fail(ErrorCode::kInvalidArgument, origin, ": factor is ", rotary.factor, ", expected a number above 0");
  }
  rope.finish();
}

Activation read_activation(const std::string& name, std::string_view origin) {
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  if (name == "relu") return Activation::kRelu;
  const std::array<std::string, 6> available = {"silu", "swish", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu"};
  fail(ErrorCode::kUnsupported, origin, ": hidden_act \"", name, "\" is not supported", did_you_mean(name, available),
       "; available: silu, swish, gelu, gelu_new, gelu_pytorch_tanh, relu");
}

Config read(Fields& fields) {
  Config config;
  config.layers = fields.positive("num_hidden_layers");
  config.hidden = fields.positive("hidden_size");
  config.heads = fields.positive("num_attention_heads");
  config.kv_heads = fields.positive("num_key_value_heads", config.heads);
  if (fields.find("head_dim") == nullptr && config.hidden % config.heads != 0) {
    fail(ErrorCode::kInvalidArgument, fields.origin(), ": hidden_size ", config.hidden,
         " is no multiple of num_attention_heads ", config.heads, ", and head_dim is not given");
  }
  config.head_dim = fields.positive("head_dim", std::max<std::int64_t>(1, config.hidden / config.heads));
  config.mlp_width = fields.positive("intermediate_size");
  config.vocabulary = fields.positive("vocab_size");
  config.max_positions = fields.positive("max_position_embeddings", 2048);
  config.norm_eps = fields.number("rms_norm_eps", 1e-6);
  config.activation = read_activation(fields.text("hidden_act", "silu"), fields.origin());
  config.gated_mlp = true;
  config.qkv_bias = fields.boolean("attention_bias", false);
  config.attention_out_bias = config.qkv_bias;
  config.mlp_bias = fields.boolean("mlp_bias", false);
  config.tied_head = fields.boolean("tie_word_embeddings", false);

  config.rotary.theta = fields.number("rope_theta", 10000.0);
  config.rotary.layout = fields.boolean("rope_interleaved", false) ? RotaryLayout::kInterleaved : RotaryLayout::kHalf;
  config.rotary.fraction = fields.number("partial_rotary_factor", 1.0);
  if (const nlohmann::json* scaling = fields.object("rope_scaling")) {
    read_scaling(*scaling, cat(fields.origin(), ": rope_scaling"), config.rotary);
  }
  if (const nlohmann::json* rope = fields.object("rope_parameters")) {
    const std::string where = cat(fields.origin(), ": rope_parameters");
    read_scaling(*rope, where, config.rotary);
    Fields inner(*rope, where);
    config.rotary.theta = inner.number("rope_theta", config.rotary.theta);
    config.rotary.fraction = inner.number("partial_rotary_factor", config.rotary.fraction);
  }

  // Tensor parallelism of pre-training: above 1 the products were summed in slices.
  fields.refuse_unless("pretraining_tp", 1.0, "only 1");
  // Dropout acts in training only, and every model is run as in evaluation.
  fields.ignore({"attention_dropout"});
  fields.ignore({"architectures",
                 "model_type",
                 "bos_token_id",
                 "eos_token_id",
                 "pad_token_id",
                 "unk_token_id",
                 "initializer_range",
                 "torch_dtype",
                 "dtype",
                 "transformers_version",
                 "use_cache",
                 "_name_or_path",
                 "is_llama_config",
                 "transformers.js_config",
                 "return_dict",
                 "output_attentions",
                 "output_hidden_states",
                 "chunk_size_feed_forward",
                 "id2label",
                 "label2id",
                 "problem_type",
                 "is_encoder_decoder",
                 "add_cross_attention",
                 "_attn_implementation",
                 "_attn_implementation_autoset",
                 "tokenizer_class",
                 "task_specific_params",
                 "max_window_layers",
                 "is_decoder",
                 "cross_attention_hidden_size"});
  return config;
}

}  // namespace

constinit const Architecture kLlama = {"llama", "Llama 2 and 3, SmolLM2", read, kTensors, kBuffers};

}  // namespace palimpsest::model
