// The metric `my-method`: surprise = -(1/n) sum over i of log p(y_i | x, y_<i), with prompt x and the n tokens y of the
// fact's target_new.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/probing.hpp"

namespace my_method {

namespace sdk = palimpsest::sdk;

class MyMethod : public sdk::Metric {
 public:
  // What the user may set: the member is the default, the field its name, meaning and limits. The program checks the
  // TOML file and prints help from this alone.
  struct Parameters {
    double cap = 50;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("cap", &Parameters::cap, "Surprise above this is counted as this.").unit("nat/token").at_least(0));
    }
  };
  static constexpr sdk::Info kInfo{"my-method", "0.1.0", "How unexpected the new target is, per token."};

  // `host` (tokenizer, random streams, log, progress) outlives the instance.
  MyMethod(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  // One entry a column: name, unit, definition. mean_column: a number that the program averages over facts;
  // rate_column: an outcome, true or false, with its retention; plain_column: stored as it is.
  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {sdk::mean_column(
        "surprise", "nat/token", "-log p(target_new | prompt) divided by the number of its tokens, at most `cap`.")};
    return kColumns;
  }

  // Called at every measuring point. To fail, throw: sdk::fail(status, parts...) says what was found, what was expected
  // and what to do.
  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    std::vector<sdk::TargetQuery> queries;
    for (const auto& fact : request.facts) {
      queries.push_back({sdk::fill(fact.prompt(), fact.subject()), fact.target_new()});
    }
    const auto scores = sdk::score_targets(host_, request.model, queries);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      rows.row(static_cast<std::int64_t>(i), {std::min(p_.cap, -scores[i].logp_mean())});
    }
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace my_method
