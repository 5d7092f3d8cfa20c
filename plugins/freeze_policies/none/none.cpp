// Plain fine-tuning: every parameter may change.
#include <span>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class None : public sdk::FreezePolicy {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"none", "1.0.0", "Freezes nothing: every parameter is fine-tuned."};

  None(sdk::Host, const Parameters&) {}
  void decide(const palimpsest_model_info&, std::span<const sdk::ParameterInfo>, std::span<const sdk::UpdateView>,
              const sdk::Freezing&) override {}
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<None>)
