// Augmenters: a fact -> more prompts that teach it.
#pragma once

#include <string_view>

#include "palimpsest/kinds/augmenter.h"
#include "palimpsest/sdk/facts.hpp"
#include "palimpsest/sdk/kinds/plugin_base.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::sdk {

class Prompts {
 public:
  Prompts(const palimpsest_host* host, const palimpsest_prompt_sink* sink) : host_(host), sink_(sink) {}
  void add(std::string_view prompt_template) const {
    check(host_, sink_->prompt(sink_->context, text(prompt_template)));
  }
  // Like add; false, and nothing is added, where the prompt tests the fact.
  bool offer(std::string_view prompt_template) const {
    const palimpsest_status status = sink_->prompt(sink_->context, text(prompt_template));
    if (status == PALIMPSEST_UNSUPPORTED) return false;
    check(host_, status);
    return true;
  }
  // A number about the fact's prompts that is worth keeping.
  void record(std::string_view name, double value) const {
    check(host_, sink_->record(sink_->context, text(name), value));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_prompt_sink* sink_;
};

class Augmenter : public Plugin {
 public:
  using Kind = Augmenter;
  static constexpr const char* kName = PALIMPSEST_KIND_AUGMENTER;

  virtual void augment(Model base, const Fact& fact, const Prompts& prompts) = 0;

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_augmenter_v1 augmenter = {[](void* instance, palimpsest_model* model,
                                                             const palimpsest_fact* fact,
                                                             const palimpsest_prompt_sink* sink) -> palimpsest_status {
      const auto* host = detail::host_of(instance);
      return guarded(host, [&] {
        detail::as<Augmenter>(instance).augment(Model(host, model), Fact(host, fact), Prompts(host, sink));
      });
    }};
    return detail::is(id, PALIMPSEST_AUGMENTER_1) ? &augmenter : nullptr;
  }
};

}  // namespace palimpsest::sdk
