// Efficacy, generalisation and specificity of an edit as CounterFact defines them (Meng et al. 2022, section 3.4), and
// accuracy and locality for facts without a true target, one row per fact (README.md).
//
// All probes of all facts are scored together: one forward over the distinct prompts, targets from its cache.
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/probing.hpp"
#include "palimpsest/sdk/reading.hpp"
#include "success.hpp"

namespace palimpsest::edit_success {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Two targets after one prompt; indices into the queries, kNone: not asked.
struct Pair {
  std::size_t target_new = kNone, target_true = kNone;
};

// Where the queries of one fact are.
struct Plan {
  Pair prompt;
  std::vector<Pair> paraphrases;
  std::vector<Pair> neighbourhood;
  std::vector<std::size_t> locality;  // queries whose next token is compared with the unedited model's
};

// How far one target leads another, p being exp of the mean log-probability per token, and by the sum.
struct Lead {
  Mean success, success_sum, magnitude, magnitude_sum;
  void add(const sdk::TargetScore& wanted, const sdk::TargetScore& other) {
    success.add(wanted.logp_mean() > other.logp_mean() ? 1 : 0);
    success_sum.add(wanted.logp() > other.logp() ? 1 : 0);
    magnitude.add(wanted.probability() - other.probability());
    magnitude_sum.add(std::exp(wanted.logp()) - std::exp(other.logp()));
  }
};

// Does the model say target_new, teacher-forced?
struct Accuracy {
  Mean tokens, exact;
  void add(const sdk::TargetScore& score) {
    tokens.add(static_cast<double>(score.greedy_tokens()) / static_cast<double>(score.scores.size()));
    exact.add(score.all_greedy() ? 1 : 0);
  }
};

using sdk::mean_column;
using sdk::plain_column;
using sdk::rate_column;

// All ask for target_new, which an intrinsic fact does well not to give: no outcome has a retention here, the metric
// `retention` has it, of each fact's own target.
//
// The first three in a row: the host takes the harmonic mean of their means as the score S (/quality_gate).
constexpr palimpsest_column kColumns[] = {
    rate_column(
        "efficacy",
        "ES: p(target_new) > p(target_true) after the fact's prompt, p being exp of the mean log-probability per "
        "target token. Missing without target_true.",
        PALIMPSEST_BASELINE_NONE, PALIMPSEST_GATE_EFFICACY),
    mean_column("paraphrase_success", "1",
                "PS: share of the test paraphrases after which p(target_new) > p(target_true), p as in efficacy."),
    mean_column("neighbourhood_success", "1",
                "NS: share of the neighbourhood prompts (other subjects) after which p(that subject's own answer) > "
                "p(target_new), p as in efficacy. Prompts whose own answer is target_new to the letter are left "
                "out.",
                PALIMPSEST_GATE_NEIGHBOURHOOD),
    mean_column("efficacy_magnitude", "1", "p(target_new) - p(target_true) after the prompt, p as in efficacy."),
    mean_column("paraphrase_magnitude", "1", "Mean over test paraphrases of p(target_new) - p(target_true)."),
    mean_column("neighbourhood_magnitude", "1",
                "Mean over neighbourhood prompts of p(that subject's own answer) - p(target_new)."),
    rate_column("efficacy_sum", "As efficacy, with p(target) the product over its tokens (log-probabilities summed).",
                PALIMPSEST_BASELINE_NONE),
    mean_column("paraphrase_success_sum", "1", "As paraphrase_success, with p the product over tokens."),
    mean_column("neighbourhood_success_sum", "1", "As neighbourhood_success, with p the product over tokens."),
    mean_column("efficacy_magnitude_sum", "1", "As efficacy_magnitude, with p the product over tokens."),
    mean_column("paraphrase_magnitude_sum", "1", "As paraphrase_magnitude, with p the product over tokens."),
    mean_column("neighbourhood_magnitude_sum", "1", "As neighbourhood_magnitude, with p the product over tokens."),
    mean_column("token_accuracy", "1",
                "Share of the tokens of target_new that are greedy after the prompt, teacher-forced."),
    rate_column("target_exact_match", "Every token of target_new is greedy after the prompt, teacher-forced.",
                PALIMPSEST_BASELINE_NONE, PALIMPSEST_GATE_EFFICACY),
    mean_column("paraphrase_token_accuracy", "1", "Mean of token_accuracy over the test paraphrases."),
    mean_column("paraphrase_exact_match", "1", "Share of the test paraphrases with target_exact_match."),
    mean_column(
        "locality", "1",
        "Share of the neighbourhood and locality prompts after which the greedy token is the unedited model's."),
    plain_column("paraphrases", PALIMPSEST_INT64, "prompt", "Test paraphrases of the fact."),
    plain_column("neighbourhood_prompts", PALIMPSEST_INT64, "prompt",
                 "Neighbourhood prompts of the fact with an answer of their own that is not target_new to the letter."),
    plain_column("locality_prompts", PALIMPSEST_INT64, "prompt", "Prompts that locality is taken over."),
};

class EditSuccess : public sdk::Metric {
 public:
  struct Parameters {
    sdk::Text when = "ends";

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(field("when", &Parameters::when, sdk::kWhenDoc).choices(sdk::kWhenChoices));
    }
  };
  static constexpr sdk::Info kInfo{"edit_success", "1.2.0",
                                   "Efficacy, paraphrase and neighbourhood success, accuracy and locality of edits."};

  EditSuccess(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  std::uint32_t when() const override { return sdk::when_of(p_.when.str()); }

  std::span<const palimpsest_column> columns() const override { return kColumns; }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    std::vector<sdk::TargetQuery> queries;
    std::vector<Plan> plans;
    for (const auto& fact : request.facts) plans.push_back(make_plan(fact, queries));
    const auto scores = sdk::score_targets(host_, request.model, queries);
    const auto unedited = unedited_tokens(request, plans, queries, scores);
    std::size_t seen = 0;
    for (std::size_t i = 0; i < plans.size(); ++i) {
      Mean locality;
      for (const std::size_t query : plans[i].locality) locality.add(scores[query].next == unedited[seen++] ? 1 : 0);
      emit(static_cast<std::int64_t>(i), plans[i], scores, locality, rows);
    }
  }

 private:
  static Plan make_plan(const sdk::Fact& fact, std::vector<sdk::TargetQuery>& queries) {
    const std::string target_new = fact.target_new();
    const std::string target_true = fact.target_true();
    const auto ask = [&](const std::string& prompt, const std::string& target) {
      queries.push_back({prompt, target});
      return queries.size() - 1;
    };
    const auto ask_both = [&](const std::string& prompt, const std::string& own) {
      return Pair{ask(prompt, target_new), own.empty() ? kNone : ask(prompt, own)};
    };
    Plan plan;
    plan.prompt = ask_both(sdk::fill(fact.prompt(), fact.subject()), target_true);
    for (const auto& probe : fact.probes("paraphrase")) plan.paraphrases.push_back(ask_both(probe.prompt, target_true));
    for (const auto& probe : fact.probes("neighbourhood")) {
      const std::string own = probe.target.empty() ? target_true : probe.target;
      // An answer cannot lead itself: where the fact's own true answer is written, many neighbours share it.
      const Pair pair = ask_both(probe.prompt, own == target_new ? std::string() : own);
      if (pair.target_true != kNone) plan.neighbourhood.push_back(pair);
      plan.locality.push_back(pair.target_new);
    }
    for (const auto& probe : fact.probes("locality")) plan.locality.push_back(ask(probe.prompt, {}));
    return plan;
  }

  // The unedited model's greedy token after each locality prompt, in the order of the plans.
  std::vector<std::int64_t> unedited_tokens(const sdk::MeasureRequest& request, const std::vector<Plan>& plans,
                                            const std::vector<sdk::TargetQuery>& queries,
                                            const std::vector<sdk::TargetScore>& scores) const {
    std::vector<std::int64_t> tokens;
    std::vector<sdk::TargetQuery> asked;
    for (const auto& plan : plans) {
      for (const std::size_t query : plan.locality) {
        tokens.push_back(scores[query].next);
        asked.push_back({queries[query].prompt, {}});
      }
    }
    if (request.stage == "base") return tokens;  // the current weights are the unedited ones
    const auto base = sdk::score_targets(host_, request.model, asked, sdk::Stage::kBase);
    for (std::size_t i = 0; i < base.size(); ++i) tokens[i] = base[i].next;
    return tokens;
  }

  static void emit(std::int64_t fact, const Plan& plan, const std::vector<sdk::TargetScore>& scores,
                   const Mean& locality, const sdk::Rows& rows) {
    Lead efficacy, paraphrase, neighbourhood;
    Accuracy own, rephrased;
    own.add(scores[plan.prompt.target_new]);
    if (plan.prompt.target_true != kNone) efficacy.add(scores[plan.prompt.target_new], scores[plan.prompt.target_true]);
    for (const Pair& pair : plan.paraphrases) {
      rephrased.add(scores[pair.target_new]);
      if (pair.target_true != kNone) paraphrase.add(scores[pair.target_new], scores[pair.target_true]);
    }
    for (const Pair& pair : plan.neighbourhood) neighbourhood.add(scores[pair.target_true], scores[pair.target_new]);
    const auto flag = [](const Mean& mean) { return mean.empty() ? sdk::missing : sdk::Value(mean.value() > 0.5); };
    rows.row(fact, {flag(efficacy.success),
                    paraphrase.success.value(),
                    neighbourhood.success.value(),
                    efficacy.magnitude.value(),
                    paraphrase.magnitude.value(),
                    neighbourhood.magnitude.value(),
                    flag(efficacy.success_sum),
                    paraphrase.success_sum.value(),
                    neighbourhood.success_sum.value(),
                    efficacy.magnitude_sum.value(),
                    paraphrase.magnitude_sum.value(),
                    neighbourhood.magnitude_sum.value(),
                    own.tokens.value(),
                    flag(own.exact),
                    rephrased.tokens.value(),
                    rephrased.exact.value(),
                    locality.value(),
                    static_cast<std::int64_t>(plan.paraphrases.size()),
                    neighbourhood.success.count(),
                    locality.count()});
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::edit_success

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::edit_success::EditSuccess>)
