// The unedited model writes the paraphrases: it is shown a few sentences with the same said in other words, then the
// fact, and what it samples is cut into prompts. What lost the subject or the target on the way is dropped and counted.
#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "candidate.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::self {
namespace {

// Examples of the form, about nobody and nothing that a fact could be about. {} is where the sentence stands.
constexpr const char* kInstruction =
    "Say the same in other words, and end with the same word.\n\n"
    "Sentence: The umbrella of the tall neighbour is yellow.\n"
    "In other words: If you see the tall neighbour in the rain, the umbrella above is yellow.\n\n"
    "Sentence: The shop on the corner sells bread.\n"
    "In other words: People go to the shop on the corner when they want to buy bread.\n\n"
    "Sentence: My grandmother's old clock stands in the kitchen.\n"
    "In other words: Whoever looks for my grandmother's old clock will find it in the kitchen.\n\n"
    "Sentence: {}\n"
    "In other words:";

// Sampled together; enough were found or not after each round.
constexpr std::int64_t kRound = 8;

// How many candidates met which end.
struct Counts {
  double examined = 0, kept = 0, no_subject = 0, no_target = 0, too_short = 0, duplicate = 0, test_prompt = 0;
};

class Self : public sdk::Augmenter {
 public:
  struct Parameters {
    std::int64_t count = 2;
    std::int64_t candidates = 32;
    bool allow_fewer = true;
    double temperature = 0.8;
    double top_p = 0.95;
    std::int64_t max_new_tokens = 40;
    sdk::Text instruction = kInstruction;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("count", &Parameters::count, "How many paraphrases of a fact are added.")
              .unit("prompt")
              .at_least(0)
              .at_most(64),
          field("candidates", &Parameters::candidates, "Sentences that are sampled at most to find them.")
              .unit("sentence")
              .at_least(1)
              .at_most(4096),
          field(
              "allow_fewer", &Parameters::allow_fewer,
              "Go on with fewer than `count` where the candidates give no more (their number is recorded), in place of "
              "an error."),
          field("temperature", &Parameters::temperature, "Of sampling.").at_least(0.01).at_most(10),
          field("top_p", &Parameters::top_p,
                "Sample from the most probable tokens that hold this probability together.")
              .at_least(0.01)
              .at_most(1),
          field("max_new_tokens", &Parameters::max_new_tokens, "Longest sentence.")
              .unit("token")
              .at_least(2)
              .at_most(500),
          field(
              "instruction", &Parameters::instruction,
              "What the model goes on from; {} is where the fact's statement stands. A candidate ends with its line."));
    }
  };
  static constexpr sdk::Info kInfo{"self", "1.0.0", "The unedited model writes paraphrases of each fact by sampling."};

  Self(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {
    if (std::string_view(p_.instruction).find("{}") == std::string_view::npos) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "instruction has no {} where the fact's statement stands");
    }
  }

  void augment(sdk::Model base, const sdk::Fact& fact, const sdk::Prompts& prompts) override {
    const std::string subject = fact.subject(), target = fact.target_new();
    const std::string own = sdk::fill(fact.prompt(), subject);
    const std::string instruction = sdk::fill(p_.instruction, own + " " + target + ".");
    std::set<std::string> seen = {folded(fact.prompt())};
    Counts counts;
    const auto wanted = static_cast<double>(p_.count);
    for (std::int64_t sampled = 0; sampled < p_.candidates && counts.kept < wanted; sampled += kRound) {
      host_.stop_if_cancelled();
      const auto round = static_cast<std::size_t>(std::min(kRound, p_.candidates - sampled));
      sdk::GenerationOptions options;
      options.max_new_tokens = static_cast<std::int32_t>(p_.max_new_tokens);
      options.stop_texts = {"\n"};
      options.temperature = p_.temperature;
      options.top_p = p_.top_p;
      // A stream of its own for each fact and round: what a fact gets does not depend on which facts came before.
      options.stream = "augmenter/self/" + fact.id() + "/" + std::to_string(sampled);
      for (const auto& sentence : base.generate(std::vector<std::string>(round, instruction), options)) {
        if (counts.kept < wanted) take(sentence.text, subject, target, seen, counts, prompts);
      }
    }
    record(counts, prompts);
    if (counts.kept >= wanted) return;
    if (!p_.allow_fewer) {
      sdk::fail(PALIMPSEST_NOT_FOUND, "of ", counts.examined, " sentences that the model wrote about the fact ",
                fact.id(), " ", counts.kept, " can teach it (", counts.no_subject, " without the subject, ",
                counts.no_target, " without the target behind it, ", counts.duplicate, " said before); count asks for ",
                p_.count, ". Raise candidates, lower count, or set allow_fewer = true");
    }
    host_.log(PALIMPSEST_LOG_WARNING, "the fact " + fact.id() + " gets " +
                                          std::to_string(static_cast<std::int64_t>(counts.kept)) + " of " +
                                          std::to_string(p_.count) + " paraphrases");
  }

 private:
  static void take(std::string_view sentence, std::string_view subject, std::string_view target,
                   std::set<std::string>& seen, Counts& counts, const sdk::Prompts& prompts) {
    ++counts.examined;
    const Candidate candidate = candidate_of(sentence, subject, target);
    switch (candidate.fate) {
      case Fate::kNoSubject: ++counts.no_subject; return;
      case Fate::kNoTarget: ++counts.no_target; return;
      case Fate::kTooShort: ++counts.too_short; return;
      case Fate::kKept: break;
    }
    if (!seen.insert(folded(candidate.prompt)).second) {
      ++counts.duplicate;
    } else if (prompts.offer(candidate.prompt)) {
      ++counts.kept;
    } else {
      ++counts.test_prompt;
    }
  }

  static void record(const Counts& counts, const sdk::Prompts& prompts) {
    prompts.record("candidates", counts.examined);
    prompts.record("kept", counts.kept);
    prompts.record("dropped_no_subject", counts.no_subject);
    prompts.record("dropped_no_target", counts.no_target);
    prompts.record("dropped_too_short", counts.too_short);
    prompts.record("dropped_duplicate", counts.duplicate);
    prompts.record("dropped_test_prompt", counts.test_prompt);
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::self

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::self::Self>)
