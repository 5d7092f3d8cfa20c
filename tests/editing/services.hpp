// The host's side of a plugin, without a plugin: what framework/editing is given in its own tests.
#pragma once

#include <cstdint>

#include "editing/golden_rome.hpp"
#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest {

struct Services {
  explicit Services(std::uint64_t seed = 0) : weights(GoldenRome::get().model(seed)) {
    context.session = GoldenRome::get().session();
    context.kind = "editor";
    context.label = "editor under test";
    context.host = {&context, PALIMPSEST_ABI_MAJOR, PALIMPSEST_ABI_MINOR,
                    [](const palimpsest_host*, const char* id) { return plugin::find_service(id); }};
  }
  sdk::Model model() { return sdk::Model(&context.host, &weights); }
  sdk::Host host() { return sdk::Host(&context.host); }

  plugin::HostContext context;
  palimpsest_model weights;
};

}  // namespace palimpsest
