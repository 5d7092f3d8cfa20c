#include "model/architectures/registry.hpp"

#include <array>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest::model {
namespace {

constexpr std::array<const Architecture*, 7> kArchitectures = {&kGpt2,    &kGptJ,  &kGptNeoX, &kLlama,
                                                               &kMistral, &kQwen2, &kQwen3};

std::string with_layer(std::string_view pattern, std::string_view layer) {
  const std::size_t hole = pattern.find("{}");
  if (hole == std::string_view::npos) return std::string(pattern);
  return cat(pattern.substr(0, hole), layer, pattern.substr(hole + 2));
}

}  // namespace

std::span<const Architecture* const> architectures() { return kArchitectures; }

const Architecture& find_architecture(std::string_view model_type, std::string_view origin) {
  std::vector<std::string> available;
  for (const Architecture* architecture : kArchitectures) {
    if (architecture->model_type == model_type) return *architecture;
    available.emplace_back(architecture->model_type);
  }
  fail(ErrorCode::kUnsupported, origin, ": model_type \"", model_type, "\" is not supported",
       did_you_mean(model_type, available), "; available: ", list_text(available));
}

StoredName stored_name(const Architecture& architecture, std::string_view canonical) {
  std::string_view layer;
  if (canonical.starts_with("layers.")) layer = canonical.substr(7, canonical.find('.', 7) - 7);
  for (const TensorName& rule : architecture.tensors) {
    if (with_layer(rule.canonical, layer) != canonical) continue;
    return {with_layer(rule.stored, layer), rule.transposed, rule.fused, rule.part};
  }
  fail(ErrorCode::kInternal, "architecture ", architecture.model_type, " has no stored name for ", canonical);
}

std::string markdown_table() {
  std::string text =
      "| `model_type` | models | the matrix that editors of MLP memories write, as stored | limits "
      "|\n|---|---|---|---|\n";
  for (const Architecture* architecture : kArchitectures) {
    const StoredName down = stored_name(*architecture, "layers.N.mlp.down.weight");
    text += cat("| `", architecture->model_type, "` | ", architecture->models, " | `", down.name, "` ",
                down.transposed ? "[in, out]" : "[out, in]", " | ", architecture->limits, " |\n");
  }
  return text;
}

}  // namespace palimpsest::model
