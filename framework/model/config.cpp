#include "model/config.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "model/architectures/registry.hpp"

namespace palimpsest::model {
namespace {

void check(const Config& config, std::string_view origin) {
  if (config.heads % config.kv_heads != 0) {
    fail(ErrorCode::kInvalidArgument, origin, ": num_attention_heads ", config.heads,
         " is no multiple of num_key_value_heads ", config.kv_heads);
  }
  if (!(config.norm_eps >= 0) || !std::isfinite(config.norm_eps)) {
    fail(ErrorCode::kInvalidArgument, origin, ": the norm's epsilon is ", config.norm_eps,
         ", expected a number of at least 0");
  }
  if (config.positions == PositionScheme::kRotary) {
    const RotaryConfig& rotary = config.rotary;
    if (!(rotary.theta > 0) || !std::isfinite(rotary.theta)) {
      fail(ErrorCode::kInvalidArgument, origin, ": rope_theta is ", rotary.theta, ", expected a number above 0");
    }
    const double turning = static_cast<double>(config.head_dim) * rotary.fraction;
    if (!(rotary.fraction > 0 && rotary.fraction <= 1) || static_cast<std::int64_t>(turning) < 2 ||
        static_cast<std::int64_t>(turning) % 2 != 0) {
      fail(ErrorCode::kInvalidArgument, origin, ": ", turning, " of a head's ", config.head_dim,
           " coordinates would turn, expected an even number from 2 to head_dim");
    }
  }
}

}  // namespace

Config parse_config(std::string_view json, std::string_view origin) {
  nlohmann::json document;
  try {
    document = nlohmann::json::parse(json);
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorCode::kCorrupt, origin, ": not valid JSON: ", error.what());
  }
  Fields fields(document, origin);
  const std::string model_type = fields.text("model_type", "");
  if (model_type.empty()) fail(ErrorCode::kInvalidArgument, origin, ": the field \"model_type\" is missing");
  const Architecture& architecture = find_architecture(model_type, origin);
  Config config = architecture.read(fields);
  fields.finish();
  config.architecture = model_type;
  config.json = json;
  if (config.sliding_window > 0) config.max_positions = std::min(config.max_positions, config.sliding_window);
  check(config, origin);
  return config;
}

std::string Config::limit_text() const {
  if (sliding_window > 0 && max_positions == sliding_window) {
    return cat("the model's attention slides over ", sliding_window,
               " tokens (sliding_window in config.json), and sequences beyond that are not supported");
  }
  return cat("the model's positions are 0 to ", max_positions - 1);
}

Config read_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  constexpr std::size_t kLimit = std::size_t{1} << 24;
  return parse_config(read_file(path, kLimit), path.string());
}

}  // namespace palimpsest::model
