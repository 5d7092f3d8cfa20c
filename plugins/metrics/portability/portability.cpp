// Portability: does the model draw the consequences of an edited fact? Measured on the facts' probes of the kind
// `portability` (a question whose answer follows from the fact), teacher-forced.
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/probing.hpp"
#include "palimpsest/sdk/reading.hpp"

namespace palimpsest::portability {
namespace {

constexpr palimpsest_column kColumns[] = {
    sdk::mean_column("portability_exact_match", "1",
                     "Share of the fact's portability probes of whose expected answer every token is greedy, "
                     "teacher-forced. NaN where the fact has none."),
    sdk::mean_column("portability_token_accuracy", "1",
                     "Mean over these probes of the share of the answer's tokens that are greedy, teacher-forced."),
    sdk::mean_column("portability_logp_mean", "nat/token",
                     "Mean over these probes of log p(answer | prompt) per token."),
    sdk::plain_column("portability_probes", PALIMPSEST_INT64, "prompt", "Portability probes of the fact."),
};

class Portability : public sdk::Metric {
 public:
  struct Parameters {
    sdk::Text when = "ends";

    static constexpr auto fields() {
      return std::tuple(sdk::field("when", &Parameters::when, sdk::kWhenDoc).choices(sdk::kWhenChoices));
    }
  };
  static constexpr sdk::Info kInfo{"portability", "1.0.0",
                                   "Whether the model draws the consequences of a fact, where facts have such probes."};

  Portability(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  std::uint32_t when() const override { return sdk::when_of(p_.when); }
  std::span<const palimpsest_column> columns() const override { return kColumns; }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    std::vector<sdk::TargetQuery> queries;
    std::vector<std::size_t> counts;
    for (const auto& fact : request.facts) {
      const std::string own = fact.role() == "edited" ? fact.target_new() : fact.target_true();
      counts.push_back(0);
      for (const auto& probe : fact.probes("portability")) {
        const std::string& answer = probe.target.empty() ? own : probe.target;
        if (answer.empty()) continue;
        queries.push_back({probe.prompt, answer});
        ++counts.back();
      }
    }
    if (queries.empty() && !request.facts.empty()) {
      host_.log(
          PALIMPSEST_LOG_WARNING,
          "no fact of this cell has a probe of the kind portability: its columns are empty. Facts get such probes "
          "in their file");
    }
    const auto scores = sdk::score_targets(host_, request.model, queries);
    std::size_t next = 0;
    for (std::size_t fact = 0; fact < counts.size(); ++fact) {
      emit(static_cast<std::int64_t>(fact), std::span(scores).subspan(next, counts[fact]), rows);
      next += counts[fact];
    }
  }

 private:
  static void emit(std::int64_t fact, std::span<const sdk::TargetScore> scores, const sdk::Rows& rows) {
    double exact = 0, tokens = 0, logp = 0;
    for (const auto& score : scores) {
      exact += score.all_greedy() ? 1 : 0;
      tokens += static_cast<double>(score.greedy_tokens()) / static_cast<double>(score.scores.size());
      logp += score.logp_mean();
    }
    const auto n = static_cast<double>(scores.size());  // 0 / 0: missing
    rows.row(fact, {exact / n, tokens / n, logp / n, static_cast<std::int64_t>(scores.size())});
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::portability

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::portability::Portability>)
