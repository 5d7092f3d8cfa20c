// fact/1
#include <array>
#include <cstddef>
#include <string_view>

#include "base/error.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

constexpr std::array<std::string_view, 8> kTexts = {"id",     "relation",   "role",        "subject",
                                                    "prompt", "target_new", "target_true", "placebo"};

palimpsest_status text(const palimpsest_host*, const palimpsest_fact* fact, const char* name, palimpsest_text* out) {
  return guarded([&] {
    const data::Fact& f = *fact->fact;
    const std::array<const std::string*, 8> values = {&f.id,     &f.relation,   &fact->role,    &f.subject,
                                                      &f.prompt, &f.target_new, &f.target_true, &fact->placebo};
    for (std::size_t i = 0; i < kTexts.size(); ++i) {
      if (kTexts[i] == name) {
        *out = text_of(*values[i]);
        return;
      }
    }
    fail(ErrorCode::kNotFound, "a fact has no text \"", name, "\"", did_you_mean(name, kTexts));
  });
}

palimpsest_status list(const palimpsest_host*, const palimpsest_fact* fact, const char* name, int64_t index,
                       int64_t* count, palimpsest_text* out) {
  return guarded([&] {
    const std::string_view wanted(name);
    std::vector<std::string_view> entries;
    if (wanted == "aliases") {
      entries.assign(fact->fact->aliases.begin(), fact->fact->aliases.end());
    } else if (wanted == "relation_targets") {
      for (const auto& target : *fact->relation_targets) {
        if (target != fact->fact->target_new && target != fact->fact->target_true) entries.push_back(target);
      }
    } else {
      constexpr std::array<std::string_view, 2> kLists = {"aliases", "relation_targets"};
      fail(ErrorCode::kNotFound, "a fact has no list \"", wanted, "\"", did_you_mean(wanted, kLists));
    }
    *count = static_cast<int64_t>(entries.size());
    if (index < 0) return;
    if (index >= *count)
      fail(ErrorCode::kOutOfRange, "entry ", index, " of the list \"", wanted, "\", which has ", *count);
    *out = text_of(entries[static_cast<std::size_t>(index)]);
  });
}

// Augmenters see what teaches, metrics what tests, and no other kind any: an editor that read the test prompts would be
// teaching to them.
bool visible(const data::Probe& probe, std::string_view kind) {
  const bool teaches = probe.split == "teach";
  return kind == PALIMPSEST_KIND_AUGMENTER ? teaches : kind == PALIMPSEST_KIND_METRIC && !teaches;
}

palimpsest_status probe(const palimpsest_host* host, const palimpsest_fact* fact, int64_t index, int64_t* count,
                        palimpsest_probe* out) {
  return guarded([&] {
    const std::string& kind = context_of(host).kind;
    int64_t seen = 0;
    bool found = false;
    for (const auto& candidate : fact->fact->probes) {
      if (!visible(candidate, kind)) continue;
      if (seen++ == index) {
        *out = {text_of(candidate.kind), text_of(candidate.prompt), text_of(candidate.target)};
        found = true;
      }
    }
    *count = seen;
    if (index >= 0 && !found) fail(ErrorCode::kOutOfRange, "probe ", index, " of a fact that shows ", seen);
  });
}

}  // namespace

const palimpsest_fact_v1& fact_service() {
  static constexpr palimpsest_fact_v1 kTable = {text, list, probe};
  return kTable;
}

}  // namespace palimpsest::plugin
