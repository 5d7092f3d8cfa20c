// GPT-J: attention and MLP side by side behind one norm, interleaved rotary positions over a part of each head.
#include <array>
#include <cmath>

#include "base/error.hpp"
#include "model/architectures/common.hpp"
#include "model/architectures/registry.hpp"

namespace palimpsest::model {
namespace {

constexpr std::array kTensors = {
    TensorName{"embed.weight", "transformer.wte.weight"},
    TensorName{"layers.{}.attention_norm.weight", "transformer.h.{}.ln_1.weight"},
    TensorName{"layers.{}.attention_norm.bias", "transformer.h.{}.ln_1.bias"},
    TensorName{"layers.{}.attention.query.weight", "transformer.h.{}.attn.q_proj.weight"},
    TensorName{"layers.{}.attention.key.weight", "transformer.h.{}.attn.k_proj.weight"},
    TensorName{"layers.{}.attention.value.weight", "transformer.h.{}.attn.v_proj.weight"},
    TensorName{"layers.{}.attention.out.weight", "transformer.h.{}.attn.out_proj.weight"},
    TensorName{"layers.{}.mlp.up.weight", "transformer.h.{}.mlp.fc_in.weight"},
    TensorName{"layers.{}.mlp.up.bias", "transformer.h.{}.mlp.fc_in.bias"},
    TensorName{"layers.{}.mlp.down.weight", "transformer.h.{}.mlp.fc_out.weight"},
    TensorName{"layers.{}.mlp.down.bias", "transformer.h.{}.mlp.fc_out.bias"},
    TensorName{"final_norm.weight", "transformer.ln_f.weight"},
    TensorName{"final_norm.bias", "transformer.ln_f.bias"},
    TensorName{"head.weight", "lm_head.weight"},
    TensorName{"head.bias", "lm_head.bias"},
};

// The causal mask, what stands in its place, and the table of sines.
constexpr std::array<std::string_view, 3> kBuffers = {".attn.bias", ".attn.masked_bias", ".attn.embed_positions"};

Config read(Fields& fields) {
  Config config;
  config.layers = fields.positive("n_layer");
  read_heads(fields, "n_embd", "n_head", config);
  config.mlp_width = fields.positive("n_inner", 4 * config.hidden);
  config.vocabulary = fields.positive("vocab_size");
  config.max_positions = fields.positive("n_positions", 2048);
  config.norm = NormKind::kLayer;
  config.norm_eps = fields.number("layer_norm_epsilon", 1e-5);
  config.parallel_block = true;
  config.mlp_norm = false;
  config.activation = read_activation(fields, "activation_function", "gelu_new");
  config.gated_mlp = false;
  config.mlp_bias = config.norm_bias = config.head_bias = true;
  config.tied_head = fields.boolean("tie_word_embeddings", false);

  config.rotary.layout = RotaryLayout::kInterleaved;
  const std::int64_t turning = fields.positive("rotary_dim", 64);
  if (turning > config.head_dim) {
    fail(ErrorCode::kInvalidArgument, fields.origin(), ": rotary_dim ", turning, " is more than a head's width ",
         config.head_dim);
  }
  // Rounded up where the quotient falls short, so that head_dim times it is no less than rotary_dim.
  const auto width = static_cast<double>(config.head_dim);
  config.rotary.fraction = static_cast<double>(turning) / width;
  if (config.rotary.fraction * width < static_cast<double>(turning)) {
    config.rotary.fraction = std::nextafter(config.rotary.fraction, 1.0);
  }
  if (!fields.boolean("rotary", true)) {
    fail(ErrorCode::kUnsupported, fields.origin(), ": \"rotary\": false is not supported: positions are rotary");
  }
  if (!fields.boolean("scale_attn_weights", true)) {
    fail(ErrorCode::kUnsupported, fields.origin(),
         ": \"scale_attn_weights\": false is not supported: scores are divided by the root of the head's width");
  }
  fields.ignore({"n_ctx", "summary_activation", "summary_proj_to_labels", "summary_type", "summary_use_proj"});
  read_bookkeeping(fields);
  return config;
}

}  // namespace

constinit const Architecture kGptJ = {"gptj", "GPT-J 6B", "unscaled scores", read, kTensors, "transformer.", kBuffers};

}  // namespace palimpsest::model
