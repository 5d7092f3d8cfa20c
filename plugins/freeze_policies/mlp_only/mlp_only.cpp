// Freezes the MLP of every layer, and on request what belongs to no layer.
#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class MlpOnly : public sdk::PartOfEveryLayer {
 public:
  static constexpr sdk::Info kInfo{"mlp_only", "1.0.0", "Freezes the MLP of every layer, and only that."};
  MlpOnly(sdk::Host host, const Parameters& parameters)
      : PartOfEveryLayer(host, parameters, "the MLP of every layer", sdk::is_mlp) {}
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<MlpOnly>)
