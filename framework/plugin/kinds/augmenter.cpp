// Augmenters: prompts, each checked where it is given.
#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "data/text.hpp"
#include "plugin/call.hpp"
#include "plugin/instance.hpp"
#include "plugin/kinds/table.hpp"

namespace palimpsest::plugin {
namespace {

struct PromptCollector {
  const palimpsest_fact* fact;
  Augmentation made;
};

bool tests(const palimpsest_fact& fact, std::string_view prompt) {
  const std::string folded = data::fold_text(data::expand(prompt, fact.fact->subject));
  return std::any_of(fact.fact->probes.begin(), fact.fact->probes.end(), [&](const data::Probe& probe) {
    return probe.split == "test" && data::fold_text(probe.prompt) == folded;
  });
}

palimpsest_status collect_prompt(void* context, palimpsest_text prompt) {
  return guarded([&] {
    auto& collector = *static_cast<PromptCollector*>(context);
    const std::string_view text = view(prompt);
    const std::size_t at = text.find("{}");
    if (at == std::string_view::npos || text.find("{}", at + 2) != std::string_view::npos) {
      fail(ErrorCode::kInvalidArgument, "the prompt \"", text, "\" must have exactly one {} where the subject stands");
    }
    if (tests(*collector.fact, text)) {
      fail(ErrorCode::kUnsupported, "the prompt \"", data::expand(text, collector.fact->fact->subject),
           "\" tests the fact ", collector.fact->fact->id, "; a test prompt must not teach");
    }
    collector.made.prompts.emplace_back(text);
  });
}

palimpsest_status collect_augment_record(void* context, palimpsest_text name, double value) {
  return guarded([&] {
    if (!std::isfinite(value)) fail(ErrorCode::kNumeric, "the record \"", view(name), "\" is ", value);
    static_cast<PromptCollector*>(context)->made.records.push_back({std::string(view(name)), value});
  });
}

}  // namespace

Augmentation Augmenter::augment(palimpsest_model& model, const palimpsest_fact& fact) {
  PromptCollector collector{&fact, {}};
  const palimpsest_prompt_sink sink{&collector, collect_prompt, collect_augment_record};
  call_plugin(label(), "augment", [&] {
    return table<palimpsest_augmenter_v1>(interface(PALIMPSEST_AUGMENTER_1, true))
        .augment(instance_, &model, &fact, &sink);
  });
  return std::move(collector.made);
}

}  // namespace palimpsest::plugin
