#include "experiment/lifelong.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/fact.hpp"
#include "experiment/probe.hpp"
#include "model/tokenizer/tokenizer.hpp"

namespace palimpsest::experiment {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Outcome {
  double efficacy = kNaN;  // NaN without target_true
  bool all_top1 = false;
  double margin = kNaN;  // NaN where both targets begin with the same token
};

// Mean of the values that are there; NaN without any.
class Mean {
 public:
  void add(double value) {
    if (std::isnan(value)) return;
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ == 0 ? kNaN : sum_ / static_cast<double>(count_); }

 private:
  double sum_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace

bool lifelong_is_due(std::int64_t every, std::size_t before, std::size_t now, std::size_t all) {
  if (every <= 0) return false;
  const auto n = static_cast<std::size_t>(every);
  return before / n != now / n || now == all;
}

void measure_lifelong(const model::Model& model, const model::Parameters& parameters,
                      const std::vector<const palimpsest_fact*>& edited, std::int64_t every, std::int64_t ordinal,
                      StageRecord& record) {
  std::vector<Question> questions;
  for (const auto* fact : edited) {
    const data::Fact& f = *fact->fact;
    questions.push_back({data::expand(f.prompt, f.subject), {f.target_new}});
    if (!f.target_true.empty()) questions.back().targets.push_back(f.target_true);
  }
  const auto answers = ask(model, parameters, questions);
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < edited.size(); ++i) {
    Outcome made;
    made.all_top1 = answers[i][0].all_top1;
    made.margin = answers[i][0].margin;
    if (answers[i].size() > 1) {
      const auto ids_new = model.tokenizer->encode_target(questions[i].targets[0]).ids;
      const auto ids_true = model.tokenizer->encode_target(questions[i].targets[1]).ids;
      const auto mean_logp = [&](std::size_t target, const std::vector<std::int64_t>& ids) {
        return answers[i][target].logp / static_cast<double>(ids.size());
      };
      made.efficacy = mean_logp(0, ids_new) > mean_logp(1, ids_true) ? 1 : 0;
      if (ids_new.front() == ids_true.front()) made.margin = kNaN;
    }
    outcomes.push_back(made);
  }

  auto& table = record.table(
      "/lifelong", "one group of edited facts after some number of edits into the same model",
      {integer_column("ordinal", "1", "place of the stage in the cell's list"),
       integer_column("edits", "fact", "facts edited so far"),
       text_column("group",
                   "first: the first edit.measure_every facts that were edited; last: as many that were edited "
                   "last; all: all so far"),
       integer_column("facts", "fact", "facts in the group"),
       number_column("efficacy", "1",
                     "share of the group with p(target_new) > p(target_true) after the prompt, as edit_success defines "
                     "it; facts without target_true are left out"),
       number_column("all_top1", "1", "share of the group whose target_new is greedy token by token, teacher-forced"),
       number_column("margin", "nat",
                     "mean over the group of log p(first token of target_new) - log p(best other); facts whose "
                     "target_true begins with the same token are left out")});
  const std::size_t all = outcomes.size(), some = std::min(all, static_cast<std::size_t>(every));
  const auto add = [&](const char* group, std::size_t begin, std::size_t end) {
    Mean efficacy, all_top1, margin;
    for (std::size_t i = begin; i < end; ++i) {
      efficacy.add(outcomes[i].efficacy);
      all_top1.add(outcomes[i].all_top1 ? 1 : 0);
      margin.add(outcomes[i].margin);
    }
    table.append_row({ordinal, static_cast<std::int64_t>(all), std::string(group),
                      static_cast<std::int64_t>(end - begin), efficacy.value(), all_top1.value(), margin.value()});
  };
  add("first", 0, some);
  add("last", all - some, all);
  add("all", 0, all);
}

}  // namespace palimpsest::experiment
