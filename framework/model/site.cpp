#include "model/site.hpp"

#include <array>
#include <charconv>

#include "base/error.hpp"

namespace palimpsest::model {
namespace {

struct PointName {
  SitePoint point;
  std::string_view text;  // after "layers.N." where the point belongs to a layer
  bool in_layer;
};

constexpr std::array kPoints = {
    PointName{SitePoint::kEmbedOut, "embed.out", false}, PointName{SitePoint::kAttentionOut, "attention.out", true},
    PointName{SitePoint::kMlpKey, "mlp.key", true},      PointName{SitePoint::kMlpValue, "mlp.value", true},
    PointName{SitePoint::kLayerOut, "out", true},        PointName{SitePoint::kFinalOut, "final.out", false},
};

[[noreturn]] void no_such_site(std::string_view text, std::string_view layer) {
  std::vector<std::string> names;
  for (const PointName& point : kPoints) {
    names.push_back(point.in_layer ? cat("layers.", layer, ".", point.text) : std::string(point.text));
  }
  fail(ErrorCode::kInvalidArgument, "no such site: \"", text, "\"", did_you_mean(text, names),
       "; sites are embed.out, layers.N.attention.out, layers.N.mlp.key, layers.N.mlp.value, layers.N.out, final.out");
}

}  // namespace

std::string to_string(const Site& site) {
  for (const PointName& point : kPoints) {
    if (point.point == site.point) {
      return point.in_layer ? cat("layers.", site.layer, ".", point.text) : std::string(point.text);
    }
  }
  fail(ErrorCode::kInternal, "no such site: ", static_cast<int>(site.point));
}

Site parse_site(std::string_view text, const Config& config) {
  for (const PointName& point : kPoints) {
    if (!point.in_layer && point.text == text) return {point.point, -1};
  }
  constexpr std::string_view kPrefix = "layers.";
  const std::size_t dot = text.starts_with(kPrefix) ? text.find('.', kPrefix.size()) : std::string_view::npos;
  if (dot == std::string_view::npos) no_such_site(text, "N");
  const std::string_view digits = text.substr(kPrefix.size(), dot - kPrefix.size());
  std::int64_t layer = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) no_such_site(text, "N");
  for (const PointName& point : kPoints) {
    if (point.in_layer && point.text == text.substr(dot + 1)) {
      if (layer < 0 || layer >= config.layers) {
        fail(ErrorCode::kOutOfRange, "site \"", text, "\": the model's layers are 0 to ", config.layers - 1);
      }
      return {point.point, layer};
    }
  }
  no_such_site(text, digits);
}

std::int64_t site_width(const Site& site, const Config& config) {
  return site.point == SitePoint::kMlpKey ? config.mlp_width : config.hidden;
}

}  // namespace palimpsest::model
