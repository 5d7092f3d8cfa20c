// Named points of the forward pass whose values can be captured or replaced.
//
//   embed.out              residual stream that enters layer 0                          [hidden]
//   layers.N.attention.out output of the attention's out-projection                     [hidden]
//   layers.N.mlp.key       input of the MLP's down-projection (the editors' key)        [mlp_width]
//   layers.N.mlp.value     output of the MLP's down-projection (the editors' value)     [hidden]
//   layers.N.out           residual stream after block N                                [hidden]
//   final.out              after the final norm, input of the head                      [hidden]
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/config.hpp"

namespace palimpsest::model {

enum class SitePoint { kEmbedOut, kAttentionOut, kMlpKey, kMlpValue, kLayerOut, kFinalOut };

struct Site {
  SitePoint point;
  std::int64_t layer = -1;  // -1 for embed.out and final.out
  friend bool operator==(const Site&, const Site&) = default;
};

// "layers.5.mlp.key"
std::string to_string(const Site& site);

// Throws kInvalidArgument (no such site, with "did you mean"), kOutOfRange (a layer the model has not).
Site parse_site(std::string_view text, const Config& config);

// Number of values per token.
std::int64_t site_width(const Site& site, const Config& config);

}  // namespace palimpsest::model
