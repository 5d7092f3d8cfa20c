#include "experiment/knowledge.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/progress.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "results/reader.hpp"
#include "results/writer.hpp"

namespace palimpsest::experiment {
namespace {

constexpr double kSpecific = 2;  // known: so many times as probable as after other subjects

std::vector<std::string> sorted(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts;
}

std::size_t place(const std::vector<std::string>& in, const std::string& what) {
  return static_cast<std::size_t>(std::lower_bound(in.begin(), in.end(), what) - in.begin());
}

// Facts of one relation and one template. Its prompts are those of all subjects of the relation.
class Group {
 public:
  Group(const model::Model& model, const std::vector<data::Fact>& facts, std::vector<std::size_t> members,
        std::vector<std::string> subjects)
      : model_(model), facts_(facts), members_(std::move(members)), subjects_(std::move(subjects)) {
    for (const std::size_t i : members_) targets_.push_back(facts_[i].target_true);
    targets_ = sorted(targets_);
    for (const auto& target : targets_) tokens_.push_back(model_.tokenizer->encode_target(target).ids);
  }

  void judge(std::vector<Knowledge>& all) {
    ask_own(all);
    std::vector<std::size_t> open;  // members whose first token does not decide
    for (const std::size_t i : members_) {
      Knowledge& k = all[i];
      const std::size_t target = place(targets_, facts_[i].target_true);
      const double bound = mean_of_others(first_token_sums_[target], own_first_token_.at(i));
      k.known = k.truth.all_top1 && k.probability >= kSpecific * bound;
      if (k.truth.all_top1 && !k.known && tokens_[target].size() > 1) open.push_back(i);
    }
    if (!open.empty()) ask_others(open, all);
  }

 private:
  double mean_of_others(double sum, double own) const {
    return subjects_.size() > 1 ? (sum - own) / static_cast<double>(subjects_.size() - 1) : 0;
  }

  // Each subject with its own facts' targets; the first tokens of all targets are seen on the way.
  void ask_own(std::vector<Knowledge>& all) {
    std::vector<Question> questions;
    for (const auto& subject : subjects_) questions.push_back({data::expand(facts_[members_[0]].prompt, subject), {}});
    std::vector<std::vector<std::size_t>> asked(subjects_.size());
    for (const std::size_t i : members_) {
      const std::size_t subject = place(subjects_, facts_[i].subject);
      questions[subject].targets.push_back(facts_[i].target_true);
      asked[subject].push_back(i);
    }
    first_token_sums_.assign(targets_.size(), 0);
    const auto answers =
        ask(model_, model_.parameters, questions, [&](std::size_t subject, std::span<const float> log_p) {
          const auto probability = [&](std::size_t target) {
            return std::exp(double{log_p[static_cast<std::size_t>(tokens_[target].front())]});
          };
          for (std::size_t t = 0; t < targets_.size(); ++t) first_token_sums_[t] += probability(t);
          for (const std::size_t i : asked[subject])
            own_first_token_[i] = probability(place(targets_, facts_[i].target_true));
        });
    for (std::size_t s = 0; s < subjects_.size(); ++s) {
      for (std::size_t j = 0; j < asked[s].size(); ++j) {
        Knowledge& k = all[asked[s][j]];
        k.truth = answers[s][j];
        k.probability = std::exp(k.truth.logp);
      }
    }
  }

  // The whole targets of these members after every subject.
  void ask_others(const std::vector<std::size_t>& open, std::vector<Knowledge>& all) const {
    std::vector<std::string> targets;
    for (const std::size_t i : open) targets.push_back(facts_[i].target_true);
    targets = sorted(targets);
    std::vector<Question> questions;
    for (const auto& subject : subjects_)
      questions.push_back({data::expand(facts_[members_[0]].prompt, subject), targets});
    const auto answers = ask(model_, model_.parameters, questions);
    for (const std::size_t i : open) {
      const std::size_t target = place(targets, facts_[i].target_true), own = place(subjects_, facts_[i].subject);
      double sum = 0;
      for (std::size_t s = 0; s < subjects_.size(); ++s) sum += s == own ? 0 : std::exp(answers[s][target].logp);
      all[i].known = all[i].probability >= kSpecific * mean_of_others(sum, 0);
    }
  }

  const model::Model& model_;
  const std::vector<data::Fact>& facts_;
  std::vector<std::size_t> members_;
  std::vector<std::string> subjects_;
  std::vector<std::string> targets_;
  std::vector<std::vector<std::int64_t>> tokens_;  // of the targets
  std::vector<double> first_token_sums_;           // by target: p(its first token), summed over all subjects
  std::map<std::size_t, double> own_first_token_;  // by member: p(first token of its target) after its own subject
};

}  // namespace

std::vector<Knowledge> judge_knowledge(const model::Model& model, const std::vector<data::Fact>& facts) {
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> groups;
  std::map<std::string, std::vector<std::string>> subjects;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    subjects[facts[i].relation].push_back(facts[i].subject);
    if (!facts[i].target_true.empty()) groups[{facts[i].relation, facts[i].prompt}].push_back(i);
  }
  for (auto& [relation, list] : subjects) list = sorted(list);

  std::vector<Knowledge> all(facts.size());
  Progress progress("what the model knows", static_cast<std::int64_t>(facts.size()), "facts");
  for (const auto& [name, members] : groups) {
    Group(model, facts, members, subjects.at(name.first)).judge(all);
    progress.advance(static_cast<std::int64_t>(members.size()));
  }
  progress.finish();
  return all;
}

void save_knowledge(const std::vector<data::Fact>& facts, const std::vector<Knowledge>& knowledge,
                    const std::filesystem::path& folder) {
  results::Table table{
      "/knowledge",
      "what the unedited model knows of a fact",
      {results::text_column("fact", "id of the fact"),
       results::truth_column("known", "true target greedy token by token, and specifically"),
       results::truth_column("all_top1", "every token of target_true is the most probable one"),
       results::number_column("logp", "nat", "log-probability of target_true, summed over its tokens"),
       results::number_column("margin", "nat", "log p of its first token minus that of the best other")}};
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const Knowledge& k = knowledge[i];
    table.append_row({facts[i].id, k.known, k.truth.all_top1, k.truth.logp, k.truth.margin});
  }
  results::Writer writer;
  writer.table(table);
  writer.commit(folder / "knowledge.h5");
}

std::vector<Knowledge> load_knowledge(const std::filesystem::path& folder) {
  const results::Table table = results::Reader(folder / "knowledge.h5").table("/knowledge");
  const auto& known = table.values<results::Bool>("known");
  const auto& all_top1 = table.values<results::Bool>("all_top1");
  const auto& logp = table.values<double>("logp");
  const auto& margin = table.values<double>("margin");
  std::vector<Knowledge> knowledge;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    knowledge.push_back({{logp[i], bool(all_top1[i]), margin[i]}, std::exp(logp[i]), bool(known[i])});
  }
  return knowledge;
}

}  // namespace palimpsest::experiment
