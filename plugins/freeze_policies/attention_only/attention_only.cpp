// Freezes the attention of every layer, and on request what belongs to no layer.
#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class AttentionOnly : public sdk::PartOfEveryLayer {
 public:
  static constexpr sdk::Info kInfo{"attention_only", "1.0.0", "Freezes the attention of every layer, and only that."};
  AttentionOnly(sdk::Host host, const Parameters& parameters)
      : PartOfEveryLayer(host, parameters, "the attention of every layer", sdk::is_attention) {}
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<AttentionOnly>)
