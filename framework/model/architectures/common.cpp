#include "model/architectures/common.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest::model {
namespace {

struct NamedActivation {
  std::string_view name;
  Activation activation;
};
// gelu_fast and gelu_new write the same formula with other roundings.
constexpr std::array<NamedActivation, 8> kActivations{{{"silu", Activation::kSilu},
                                                       {"swish", Activation::kSilu},
                                                       {"gelu", Activation::kGelu},
                                                       {"gelu_new", Activation::kGeluTanh},
                                                       {"gelu_fast", Activation::kGeluTanh},
                                                       {"gelu_pytorch_tanh", Activation::kGeluTanh},
                                                       {"gelu_python", Activation::kGelu},
                                                       {"relu", Activation::kRelu}}};

// `rope` holds the scaling's own fields.
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

}  // namespace

Activation read_activation(Fields& fields, std::string_view key, std::string_view fallback) {
  const std::string name = fields.text(key, fallback);
  std::vector<std::string> available;
  for (const NamedActivation& known : kActivations) {
    if (known.name == name) return known.activation;
    available.emplace_back(known.name);
  }
  fail(ErrorCode::kUnsupported, fields.origin(), ": ", key, " \"", name, "\" is not supported",
       did_you_mean(name, available), "; available: ", list_text(available));
}

void read_heads(Fields& fields, std::string_view hidden, std::string_view heads, Config& config) {
  config.hidden = fields.positive(hidden);
  config.heads = fields.positive(heads);
  config.kv_heads = config.heads;
  if (config.hidden % config.heads != 0) {
    fail(ErrorCode::kInvalidArgument, fields.origin(), ": ", hidden, " ", config.hidden, " is no multiple of ", heads,
         " ", config.heads);
  }
  config.head_dim = config.hidden / config.heads;
}

void read_rope(Fields& fields, RotaryConfig& rotary) {
  rotary.theta = fields.number("rope_theta", rotary.theta);
  rotary.fraction = fields.number("partial_rotary_factor", rotary.fraction);
  read_rope_table(fields, rotary);
}

void read_rope_table(Fields& fields, RotaryConfig& rotary) {
  // One field under two names, as written until transformers 4 and since 5; the older name wins where both stand.
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const nlohmann::json* rope = fields.object(key);
    if (rope == nullptr || rope->empty()) continue;
    const std::string where = cat(fields.origin(), ": ", key);
    read_scaling(*rope, where, rotary);
    Fields inner(*rope, where);
    rotary.theta = inner.number("rope_theta", rotary.theta);
    rotary.fraction = inner.number("partial_rotary_factor", rotary.fraction);
    break;
  }
  fields.ignore({"rope_scaling", "rope_parameters"});
}

void check_layer_types(Fields& fields, std::string_view expected) {
  const nlohmann::json* types = fields.find("layer_types");
  if (types == nullptr) return;
  if (!types->is_array()) {
    fail(ErrorCode::kInvalidArgument, fields.origin(), ": the field \"layer_types\" is ", types->dump(),
         ", expected a list");
  }
  for (std::size_t layer = 0; layer < types->size(); ++layer) {
    if ((*types)[layer] == expected) continue;
    fail(ErrorCode::kUnsupported, fields.origin(), ": \"layer_types\" names ", (*types)[layer].dump(), " for layer ",
         layer, "; supported is \"", expected, "\" for every layer");
  }
}

void read_bookkeeping(Fields& fields) {
  fields.refuse_unless("add_cross_attention", 0.0, "the model is a decoder alone");
  fields.refuse_unless("is_encoder_decoder", 0.0, "the model is a decoder alone");
  // Dropout acts in training only, and every model is run as in evaluation.
  fields.ignore({"attention_dropout", "hidden_dropout", "classifier_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop",
                 "summary_first_dropout"});
  fields.ignore({"architectures",
                 "model_type",
                 "bos_token_id",
                 "eos_token_id",
                 "pad_token_id",
                 "unk_token_id",
                 "sep_token_id",
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
                 "output_past",
                 "chunk_size_feed_forward",
                 "id2label",
                 "label2id",
                 "problem_type",
                 "_attn_implementation",
                 "_attn_implementation_autoset",
                 "tokenizer_class",
                 "task_specific_params",
                 "is_decoder",
                 "cross_attention_hidden_size",
                 "gradient_checkpointing"});
}

}  // namespace palimpsest::model
