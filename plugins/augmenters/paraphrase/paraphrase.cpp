// The first n paraphrases that the fact's file gives for teaching. Test paraphrases are never seen here: fact/1 does
// not show them to augmenters.
#include <algorithm>
#include <cstdint>
#include <tuple>

#include "palimpsest/sdk/plugin.hpp"
#include "template.hpp"

namespace palimpsest::paraphrase {
namespace {

class Paraphrase : public sdk::Augmenter {
 public:
  struct Parameters {
    std::int64_t count = 2;
    bool allow_fewer = false;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("count", &Parameters::count, "How many teach paraphrases of a fact are added, in the file's order.")
              .unit("prompt")
              .at_least(0)
              .at_most(64),
          field("allow_fewer", &Parameters::allow_fewer,
                "Take all there are where a fact has fewer than `count`, in place of an error."));
    }
  };
  static constexpr sdk::Info kInfo{"paraphrase", "1.0.0", "Adds the first n teach paraphrases of each fact."};

  Paraphrase(sdk::Host, const Parameters& parameters) : p_(parameters) {}

  void augment(sdk::Model, const sdk::Fact& fact, const sdk::Prompts& prompts) override {
    const auto probes = fact.probes("paraphrase");
    const auto available = static_cast<std::int64_t>(probes.size());
    if (available < p_.count && !p_.allow_fewer) {
      sdk::fail(PALIMPSEST_NOT_FOUND, "the fact ", fact.id(), " has ", available, " teach paraphrases; count asks for ",
                p_.count, ". Give it more in the facts file, lower count, or set allow_fewer = true");
    }
    const std::string subject = fact.subject();
    for (std::int64_t i = 0; i < std::min(available, p_.count); ++i) {
      const std::string& prompt = probes[static_cast<std::size_t>(i)].prompt;
      const auto made = template_of(prompt, subject);
      if (!made) {
        sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "the teach paraphrase \"", prompt, "\" of the fact ", fact.id(),
                  " does not hold its subject \"", subject, "\"");
      }
      prompts.add(*made);
    }
  }

 private:
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::paraphrase

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::paraphrase::Paraphrase>)
