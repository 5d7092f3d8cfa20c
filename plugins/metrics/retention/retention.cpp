// Every outcome of a fact, for both its targets, at one measuring point. Retention itself, the share of what held at a
// reference point and still holds, is built by the host from the RATE columns.
//
// Cost: one forward over all prompts with a cache, the further tokens of the targets from that cache, and one batched
// greedy generation.
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "columns.hpp"
#include "generated.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/probing.hpp"

namespace palimpsest::retention {
namespace {

// One fact under measurement. Indices are into the scored queries, -1: no such target.
struct Subject {
  bool edited = false;
  std::string prompt, target_new, target_true, placebo;
  std::int64_t new_query = -1, true_query = -1;
  bool shared_first_token = false;
};

class Retention : public sdk::Metric {
 public:
  struct Parameters {
    std::int64_t max_new_tokens = 50;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(field("max_new_tokens", &Parameters::max_new_tokens,
                              "Longest continuation that `generated` and `retention_mixed` read.")
                            .unit("token")
                            .at_least(1)
                            .at_most(50));
    }
  };
  static constexpr sdk::Info kInfo{"retention", "1.0.0",
                                   "Every outcome of edited and intrinsic facts, for both targets."};

  Retention(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  std::span<const palimpsest_column> columns() const override { return kColumns; }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    if (request.facts.empty()) return;
    std::vector<sdk::TargetQuery> queries;
    std::vector<Subject> subjects;
    for (const auto& fact : request.facts) subjects.push_back(make_subject(fact, queries));
    const auto scores = sdk::score_targets(host_, request.model, queries);
    const auto continuations = generate(request.model, subjects);
    for (std::size_t i = 0; i < subjects.size(); ++i) {
      emit(static_cast<std::int64_t>(i), subjects[i], scores, continuations[i].text, rows);
    }
  }

 private:
  Subject make_subject(const sdk::Fact& fact, std::vector<sdk::TargetQuery>& queries) const {
    Subject subject;
    subject.edited = fact.role() == "edited";
    subject.prompt = sdk::fill(fact.prompt(), fact.subject());
    subject.target_new = fact.target_new();
    subject.target_true = fact.target_true();
    subject.placebo = fact.placebo();
    const auto ask = [&](const std::string& target) -> std::int64_t {
      if (target.empty()) return -1;
      queries.push_back({subject.prompt, target});
      return static_cast<std::int64_t>(queries.size()) - 1;
    };
    subject.new_query = ask(subject.target_new);
    subject.true_query = ask(subject.target_true);
    subject.shared_first_token =
        subject.new_query >= 0 && subject.true_query >= 0 &&
        host_.encode_target(subject.target_new).front() == host_.encode_target(subject.target_true).front();
    return subject;
  }

  std::vector<sdk::Continuation> generate(const sdk::Model& model, const std::vector<Subject>& subjects) const {
    std::vector<std::string> prompts;
    for (const auto& subject : subjects) prompts.push_back(subject.prompt);
    sdk::GenerationOptions options;
    options.max_new_tokens = static_cast<std::int32_t>(p_.max_new_tokens);
    return model.generate(prompts, options);
  }

  // The kOutcomes values of one target.
  static std::vector<sdk::Value> outcomes(const Subject& subject, std::int64_t query, const std::string& target,
                                          const std::vector<sdk::TargetScore>& scores,
                                          const std::string& continuation) {
    if (query < 0) return std::vector<sdk::Value>(kOutcomes, sdk::missing);
    const sdk::TargetScore& score = scores[static_cast<std::size_t>(query)];
    const sdk::TokenScore& first = score.scores.front();
    const auto unless_shared = [&](const sdk::Value& value) {
      return subject.shared_first_token ? sdk::missing : value;
    };
    return {score.all_greedy(),
            unless_shared(first.rank == 0),
            says(continuation, target),
            unless_shared(first.margin),
            score.logp(),
            score.logp_mean(),
            unless_shared(static_cast<double>(first.rank))};
  }

  static sdk::Value mixed(const Subject& subject, const std::vector<sdk::Value>& of_new,
                          const std::string& continuation) {
    if (subject.edited) return of_new[1];
    if (subject.target_true.empty()) return sdk::missing;
    return (subject.prompt + continuation).find(subject.target_true) != std::string::npos;
  }

  static void emit(std::int64_t fact, const Subject& subject, const std::vector<sdk::TargetScore>& scores,
                   const std::string& continuation, const sdk::Rows& rows) {
    const auto of_new = outcomes(subject, subject.new_query, subject.target_new, scores, continuation);
    const auto of_true = outcomes(subject, subject.true_query, subject.target_true, scores, continuation);
    std::vector<sdk::Value> row = subject.edited ? of_new : of_true;
    row.push_back(subject.placebo.empty() ? sdk::missing : sdk::Value(says(continuation, subject.placebo)));
    row.push_back(mixed(subject, of_new, continuation));
    row.emplace_back(subject.shared_first_token);
    row.insert(row.end(), of_new.begin(), of_new.end());
    row.insert(row.end(), of_true.begin(), of_true.end());
    row.emplace_back(continuation);
    rows.row(fact, row);
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::retention

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::retention::Retention>)
