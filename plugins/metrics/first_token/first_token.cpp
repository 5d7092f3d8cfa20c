// The most probable first tokens after each fact's prompt, at every measuring point (the paper's figure 4).
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "most_probable.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/probing.hpp"

namespace palimpsest::first_token {
namespace {

struct Candidate {
  std::int64_t token;
  double probability;
};

class FirstToken : public sdk::Metric {
 public:
  struct Parameters {
    std::int64_t k = 10;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(field("k", &Parameters::k, "How many of the most probable first tokens are kept per fact.")
                            .unit("token")
                            .at_least(1)
                            .at_most(1000));
    }
  };
  static constexpr sdk::Info kInfo{"first_token", "1.1.0", "The most probable first tokens after each fact's prompt."};

  FirstToken(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::plain_column("first_token_rank", PALIMPSEST_INT64, "token",
                          "Place of the token among all by probability after the prompt; 0: greedy."),
        sdk::plain_column("token_id", PALIMPSEST_INT64, "", "Id of the token in the model's vocabulary."),
        sdk::plain_column("token", PALIMPSEST_TEXT, "",
                          "The token's text, its leading space included; U+FFFD for a part of a character."),
        sdk::plain_column("first_token_probability", PALIMPSEST_FLOAT64, "1", "p(token | prompt)."),
        sdk::plain_column("is_target_new", PALIMPSEST_BOOL, "1", "The token is the first one of target_new."),
        sdk::plain_column("is_target_true", PALIMPSEST_BOOL, "1",
                          "The token is the first one of target_true; missing where the fact has none."),
    };
    return kColumns;
  }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    std::vector<sdk::TargetQuery> queries;
    for (const auto& fact : request.facts) queries.push_back({sdk::fill(fact.prompt(), fact.subject()), {}});
    std::vector<std::vector<Candidate>> found(queries.size());
    sdk::score_targets(host_, request.model, queries, sdk::Stage::kCurrent,
                       [&](std::size_t query, std::span<const float> logits) {
                         const double total = sdk::log_sum_exp(logits);
                         for (const std::int64_t id : most_probable(logits, static_cast<std::size_t>(p_.k))) {
                           const auto logit = static_cast<double>(logits[static_cast<std::size_t>(id)]);
                           found[query].push_back({id, std::exp(logit - total)});
                         }
                       });
    for (std::size_t i = 0; i < found.size(); ++i) emit(static_cast<std::int64_t>(i), request.facts[i], found[i], rows);
  }

 private:
  void emit(std::int64_t index, const sdk::Fact& fact, const std::vector<Candidate>& candidates,
            const sdk::Rows& rows) const {
    const std::string target_true = fact.target_true();
    const std::int64_t first_new = host_.encode_target(fact.target_new()).front();
    const std::int64_t first_true = target_true.empty() ? -1 : host_.encode_target(target_true).front();
    for (std::size_t rank = 0; rank < candidates.size(); ++rank) {
      const Candidate& candidate = candidates[rank];
      rows.row(index, {static_cast<std::int64_t>(rank), candidate.token, host_.decode({candidate.token}),
                       candidate.probability, candidate.token == first_new,
                       target_true.empty() ? sdk::missing : sdk::Value(candidate.token == first_true)});
    }
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::first_token

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::first_token::FirstToken>)
