// What the model writes when it goes on from a fact's prompts, and how repetitive that is: n-gram entropy as Meng et
// al. (2022) define fluency. A broken model repeats itself, and its entropy falls.
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "entropy.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/reading.hpp"

namespace palimpsest::generation {
namespace {

constexpr palimpsest_column kColumns[] = {
    sdk::mean_column("ngram_entropy", "bit",
                     "Mean over the fact's texts (prompt and continuation) of (2/3 H2 + 4/3 H3) / 2, Hn the entropy of "
                     "the text's n-grams of words and signs: fluency, the generation entropy of Meng et al. 2022."),
    sdk::mean_column("continuation_entropy", "bit", "As ngram_entropy, of the continuations alone."),
    sdk::mean_column("bigram_entropy", "bit", "Mean over the fact's texts of H2."),
    sdk::mean_column("trigram_entropy", "bit", "Mean over the fact's texts of H3."),
    sdk::mean_column("continuation_tokens", "token",
                     "Mean length of the continuations: shorter than asked where the model ended."),
    sdk::plain_column("texts", PALIMPSEST_INT64, "text", "Texts that were written for the fact."),
    sdk::plain_column("text", PALIMPSEST_TEXT, "", "The first of them: the fact's own prompt and its continuation."),
};

class Generation : public sdk::Metric {
 public:
  struct Parameters {
    std::int64_t prompts = 3;
    std::int64_t max_new_tokens = 60;
    double temperature = 1;
    double top_p = 0.9;
    sdk::Text when = "ends";

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field(
              "prompts", &Parameters::prompts,
              "Prompts of a fact that are continued at most: its own, then its probes of the kind generation, then its "
              "test paraphrases.")
              .unit("prompt")
              .at_least(1)
              .at_most(64),
          field("max_new_tokens", &Parameters::max_new_tokens, "Longest continuation.")
              .unit("token")
              .at_least(3)
              .at_most(1000),
          field("temperature", &Parameters::temperature, "Of sampling; 0 is greedy, and repeats itself in any model.")
              .at_least(0)
              .at_most(10),
          field("top_p", &Parameters::top_p,
                "Sample from the most probable tokens that hold this probability together.")
              .at_least(0.01)
              .at_most(1),
          field("when", &Parameters::when, sdk::kWhenDoc).choices(sdk::kWhenChoices));
    }
  };
  static constexpr sdk::Info kInfo{"generation", "1.0.0", "N-gram entropy of what the model writes about each fact."};

  Generation(sdk::Host, const Parameters& parameters) : p_(parameters) {}

  std::uint32_t when() const override { return sdk::when_of(p_.when); }
  std::span<const palimpsest_column> columns() const override { return kColumns; }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    std::vector<std::string> prompts;
    std::vector<std::size_t> counts;
    for (const auto& fact : request.facts) {
      const auto own = prompts_of(fact);
      counts.push_back(own.size());
      prompts.insert(prompts.end(), own.begin(), own.end());
    }
    if (prompts.empty()) return;
    sdk::GenerationOptions options;
    options.max_new_tokens = static_cast<std::int32_t>(p_.max_new_tokens);
    options.temperature = p_.temperature;
    options.top_p = p_.top_p;
    // The same stream at every measuring point, in it one for each prompt, so that points differ by the model alone.
    options.stream = "metric/generation";
    const auto continuations = request.model.generate(prompts, options);
    std::size_t next = 0;
    for (std::size_t fact = 0; fact < counts.size(); ++fact) {
      emit(static_cast<std::int64_t>(fact), std::span(prompts).subspan(next, counts[fact]),
           std::span(continuations).subspan(next, counts[fact]), rows);
      next += counts[fact];
    }
  }

 private:
  std::vector<std::string> prompts_of(const sdk::Fact& fact) const {
    std::vector<std::string> prompts = {sdk::fill(fact.prompt(), fact.subject())};
    for (const char* kind : {"generation", "paraphrase"}) {
      for (const auto& probe : fact.probes(kind)) {
        if (prompts.size() < static_cast<std::size_t>(p_.prompts)) prompts.push_back(probe.prompt);
      }
    }
    return prompts;
  }

  static void emit(std::int64_t fact, std::span<const std::string> prompts,
                   std::span<const sdk::Continuation> continuations, const sdk::Rows& rows) {
    double all = 0, alone = 0, bigrams = 0, trigrams = 0, tokens = 0;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const std::string text = prompts[i] + continuations[i].text;
      const auto whole = pieces(text);
      const auto continued = pieces(continuations[i].text);
      const double h2 = ngram_entropy(whole, 2), h3 = ngram_entropy(whole, 3);
      bigrams += h2;
      trigrams += h3;
      all += weighted_entropy(h2, h3);
      alone += weighted_entropy(ngram_entropy(continued, 2), ngram_entropy(continued, 3));
      tokens += static_cast<double>(continuations[i].ids.size());
    }
    const auto n = static_cast<double>(prompts.size());
    rows.row(fact, {all / n, alone / n, bigrams / n, trigrams / n, tokens / n,
                    static_cast<std::int64_t>(prompts.size()), prompts[0] + continuations[0].text});
  }

  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::generation

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::generation::Generation>)
