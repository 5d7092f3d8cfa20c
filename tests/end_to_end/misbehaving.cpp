// Augmenters that misbehave in a worker: one crashes, one throws, one never comes back.
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <thread>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class Crashes : public sdk::Augmenter {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"crashes", "1.0.0", "Ends its process by a segmentation fault."};
  Crashes(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts&) override { std::raise(SIGSEGV); }
};

class Throws : public sdk::Augmenter {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"throws", "1.0.0", "Throws at its first fact."};
  Throws(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts&) override {
    throw std::runtime_error("the parrot refuses");
  }
};

class Hangs : public sdk::Augmenter {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"hangs", "1.0.0", "Never comes back from its first fact."};
  Hangs(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts&) override {
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
  }
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<Crashes>, &palimpsest::sdk::kDescriptor<Throws>,
                   &palimpsest::sdk::kDescriptor<Hangs>)
