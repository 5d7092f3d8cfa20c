// A library that shows a function of its own to every other library of the process.
#include "palimpsest/sdk/plugin.hpp"

extern "C" PALIMPSEST_EXPORT int helper_of_mine();
int helper_of_mine() { return 1; }

namespace {

class Talkative : public palimpsest::sdk::Augmenter {
 public:
  using Parameters = palimpsest::sdk::NoParameters;
  static constexpr palimpsest::sdk::Info kInfo{"talkative", "1.0.0", "Exports more than the one symbol."};
  Talkative(palimpsest::sdk::Host, const Parameters&) {}
  void augment(palimpsest::sdk::Model, const palimpsest::sdk::Fact&, const palimpsest::sdk::Prompts&) override {}
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<Talkative>)
