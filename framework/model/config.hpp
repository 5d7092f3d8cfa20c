// A decoder language model described by data: what config.json says, in one vocabulary for all architectures.
//
// A Config is a plain value. read_config() and parse_config() give only configs that the runtime computes exactly;
// whatever would change the numbers and is not offered is refused by its name. Immutable after reading; safe to share
// between threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace palimpsest::model {

enum class NormKind { kRms, kLayer };
enum class PositionScheme { kLearned, kRotary };
// Which coordinates of a head turn together: i with i + n/2 (kHalf, as Hugging Face stores Llama), or 2i with 2i + 1.
enum class RotaryLayout { kHalf, kInterleaved };
enum class RotaryScaling { kNone, kLinear, kLlama3 };
enum class Activation { kSilu, kGelu, kGeluTanh, kRelu };

struct RotaryConfig {
  double theta = 10000.0;
  double fraction = 1.0;  // share of a head's coordinates that turns, counted from the first
  RotaryLayout layout = RotaryLayout::kHalf;
  RotaryScaling scaling = RotaryScaling::kNone;
  double factor = 1.0;                      // kLinear, kLlama3
  double low_freq_factor = 1.0;             // kLlama3
  double high_freq_factor = 4.0;            // kLlama3
  std::int64_t original_max_positions = 0;  // kLlama3
};

struct Config {
  std::string architecture;  // model_type of config.json, e.g. "llama"
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t mlp_width = 0;
  std::int64_t vocabulary = 0;
  std::int64_t max_positions = 0;

  NormKind norm = NormKind::kRms;
  double norm_eps = 1e-5;
  PositionScheme positions = PositionScheme::kRotary;
  RotaryConfig rotary;
  bool parallel_block = false;  // the MLP reads the layer's input, as attention does, not what attention adds to it
  bool mlp_norm = true;         // false, of a parallel block only: the MLP reads attention_norm's result too
  Activation activation = Activation::kSilu;
  bool gated_mlp = true;
  bool qkv_bias = false;
  bool attention_out_bias = false;
  bool mlp_bias = false;
  bool norm_bias = false;  // layer norms have one
  bool qk_norm = false;    // an RMS norm over each head's query and key, before the rotation
  bool tied_head = false;  // head.weight is embed.weight
  bool head_bias = false;
  // A token sees this many tokens, itself included; 0: all. Longer sequences are refused, so max_positions is no more.
  std::int64_t sliding_window = 0;

  std::string json;  // config.json as read; save_model() writes it back

  std::int64_t query_width() const { return heads * head_dim; }
  std::int64_t kv_width() const { return kv_heads * head_dim; }
  // Ends an error about a sequence that is too long: what sets the limit.
  std::string limit_text() const;
};

// Reads `folder`/config.json. Throws Error: kNotFound, kCorrupt (not JSON), kInvalidArgument (a missing or senseless
// field), kUnsupported (model_type, rope type, activation, quantization ... named, with what is available).
Config read_config(const std::filesystem::path& folder);
// The same from text; `origin` is named in errors.
Config parse_config(std::string_view json, std::string_view origin);

}  // namespace palimpsest::model
