// No augmentation: an edit is taught by the fact's own prompt alone.
#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class None : public sdk::Augmenter {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"none", "1.0.0", "Adds no prompts: the fact's own prompt alone teaches the edit."};

  None(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts&) override {}
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<None>)
