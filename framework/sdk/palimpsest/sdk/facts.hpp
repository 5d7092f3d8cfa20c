// Facts as an author sees them. A Fact is a view that lives for the call.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "palimpsest/sdk/error.hpp"
#include "palimpsest/services/fact.h"

namespace palimpsest::sdk {

// `template_text` with its {} replaced by `subject`.
inline std::string fill(std::string_view template_text, std::string_view subject) {
  std::string filled(template_text);
  const std::size_t at = filled.find("{}");
  if (at != std::string::npos) filled.replace(at, 2, subject);
  return filled;
}

struct Probe {
  std::string kind;
  std::string prompt;  // as the model reads it, the subject written out
  std::string target;  // "" where it is the fact's own
};

class Fact {
 public:
  Fact(const palimpsest_host* host, const palimpsest_fact* fact)
      : host_(host), fact_(fact), api_(&service<palimpsest_fact_v1>(host, PALIMPSEST_FACT_1)) {}

  std::string id() const { return named("id"); }
  std::string relation() const { return named("relation"); }
  // "edited" or "intrinsic".
  std::string role() const { return named("role"); }
  std::string subject() const { return named("subject"); }
  std::string prompt() const { return named("prompt"); }
  std::string target_new() const { return named("target_new"); }
  // "" where unknown.
  std::string target_true() const { return named("target_true"); }
  // A seeded random other target of the relation: what `generated` is compared with.
  std::string placebo() const { return named("placebo"); }
  std::vector<std::string> aliases() const { return list("aliases"); }
  // Every other target of the relation.
  std::vector<std::string> relation_targets() const { return list("relation_targets"); }

  // The probes of a kind that the calling plugin may see (augmenters: teach; metrics: all but teach).
  std::vector<Probe> probes(std::string_view kind) const {
    std::int64_t count = 0;
    check(host_, api_->probe(host_, fact_, -1, &count, nullptr));
    std::vector<Probe> all;
    for (std::int64_t i = 0; i < count; ++i) {
      palimpsest_probe raw{};
      check(host_, api_->probe(host_, fact_, i, &count, &raw));
      if (view(raw.kind) == kind) {
        all.push_back({std::string(view(raw.kind)), std::string(view(raw.prompt)), std::string(view(raw.target))});
      }
    }
    return all;
  }

 private:
  std::string named(const char* name) const {
    palimpsest_text out{};
    check(host_, api_->text(host_, fact_, name, &out));
    return std::string(view(out));
  }
  std::vector<std::string> list(const char* name) const {
    std::int64_t count = 0;
    check(host_, api_->list(host_, fact_, name, -1, &count, nullptr));
    std::vector<std::string> all;
    for (std::int64_t i = 0; i < count; ++i) {
      palimpsest_text out{};
      check(host_, api_->list(host_, fact_, name, i, &count, &out));
      all.emplace_back(view(out));
    }
    return all;
  }

  const palimpsest_host* host_;
  const palimpsest_fact* fact_;
  const palimpsest_fact_v1* api_;
};

}  // namespace palimpsest::sdk
