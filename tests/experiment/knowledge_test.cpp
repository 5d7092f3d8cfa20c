// What the unedited model knows, against the definition written out: one prompt at a time, every target after every
// subject.
#include "experiment/knowledge.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "model/decoder.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "model/work.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::experiment {
namespace {

using Ids = std::vector<std::int64_t>;

// Log-probabilities of all tokens after each of the last `count` tokens of `ids`.
at::Tensor after(const model::Model& model, const Ids& ids, std::int64_t count) {
  model::ForwardRequest request;
  request.token_ids = at::tensor(ids, at::kLong).unsqueeze(0);
  const auto size = static_cast<std::int64_t>(ids.size());
  for (std::int64_t t = size - count; t < size; ++t) request.logits.push_back({0, t});
  return at::log_softmax(model::forward(model, request).logits, 1);
}

Answer answer_of(const model::Model& model, const std::string& prompt, const std::string& target) {
  Ids ids = model.tokenizer->encode_prompt(prompt).ids;
  const Ids wanted = model.tokenizer->encode_target(target).ids;
  const auto count = static_cast<std::int64_t>(wanted.size());
  ids.insert(ids.end(), wanted.begin(), wanted.end() - 1);
  const at::Tensor log_p = after(model, ids, count);
  Answer answer{0, true, 0};
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t token = wanted[static_cast<std::size_t>(t)];
    answer.logp += log_p[t][token].item<double>();
    at::Tensor others = log_p[t].clone();
    others[token] = -INFINITY;
    const double lead = log_p[t][token].item<double>() - others.max().item<double>();
    answer.all_top1 = answer.all_top1 && lead >= 0;
    if (t == 0) answer.margin = lead;
  }
  return answer;
}

// What the model says itself, of `count` tokens; "" where that is no target of as many tokens.
std::string greedy(const model::Model& model, const std::string& prompt, std::size_t count) {
  Ids ids = model.tokenizer->encode_prompt(prompt).ids, said;
  while (said.size() < count) {
    said.push_back(after(model, ids, 1)[0].argmax().item<std::int64_t>());
    ids.push_back(said.back());
  }
  const std::string text = model.tokenizer->decode(said);
  if (text.size() < 2 || text.front() != ' ' || text[1] == ' ') return "";
  try {
    return model.tokenizer->encode_target(text.substr(1)).ids == said ? text.substr(1) : "";
  } catch (const Error&) {
    return "";
  }
}

data::Fact fact_of(const std::string& relation, const std::string& prompt, const std::string& subject,
                   const std::string& target_true) {
  data::Fact fact;
  fact.relation = relation;
  fact.prompt = prompt;
  fact.subject = subject;
  fact.target_true = target_true;
  return fact;
}

// Answers that the model gives itself, of one to three tokens, and one that it does not give. The weights are random
// and the embedding is the head, so that it repeats what it read last: a template that ends in the subject gives
// specific answers, one that ends in a word the same to all.
std::vector<data::Fact> facts_of(const model::Model& model) {
  std::vector<data::Fact> facts;
  for (const std::string prompt : {"They went to see {}", "Of all towns {} was built in", "The sign said {} and the"}) {
    for (const std::string subject : {"in", "of", "the", "was", "on", "and", "is", "a", "to", "at"}) {
      for (const std::size_t tokens : {1, 2, 3}) {
        const std::string said = greedy(model, data::expand(prompt, subject), tokens);
        if (!said.empty()) facts.push_back(fact_of(tokens == 3 ? "long" : "short", prompt, subject, said));
      }
    }
    facts.push_back(fact_of("short", prompt, "a", "wrong"));
    facts.push_back(fact_of("short", prompt, "of", ""));
  }
  for (std::size_t i = 0; i < facts.size(); ++i) facts[i].id = cat("fact ", i);
  return facts;
}

struct Kinds {
  int known = 0, known_of_several = 0, common = 0, common_of_several = 0, not_said = 0;
};

TEST(Knowledge, IsWhatItsDefinitionSays) {
  const model::Model model =
      model::open_model(std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "rome" / "model");
  const auto facts = facts_of(model);
  const model::Work begin = model::work();
  const auto found = judge_knowledge(model, facts);
  const model::Work done = model::work() - begin;
  ASSERT_EQ(found.size(), facts.size());

  Kinds kinds;
  const model::Work written_out = model::work();
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const data::Fact& fact = facts[i];
    if (fact.target_true.empty()) {
      EXPECT_FALSE(found[i].known);
      continue;
    }
    const Answer truth = answer_of(model, data::expand(fact.prompt, fact.subject), fact.target_true);
    EXPECT_NEAR(found[i].truth.logp, truth.logp, 1e-4) << fact.prompt << fact.subject;
    EXPECT_NEAR(found[i].truth.margin, truth.margin, 1e-4);
    EXPECT_EQ(found[i].truth.all_top1, truth.all_top1);
    EXPECT_DOUBLE_EQ(found[i].probability, std::exp(found[i].truth.logp));
    std::set<std::string> others;
    for (const auto& other : facts) {
      if (other.relation == fact.relation && other.subject != fact.subject) others.insert(other.subject);
    }
    double sum = 0;
    for (const auto& other : others) {
      sum += std::exp(answer_of(model, data::expand(fact.prompt, other), fact.target_true).logp);
    }
    const double mean = sum / static_cast<double>(others.size());
    EXPECT_EQ(found[i].known, truth.all_top1 && std::exp(truth.logp) >= 2 * mean)
        << fact.prompt << " " << fact.subject << " " << fact.target_true << ": " << std::exp(truth.logp) << ", "
        << mean;
    const bool several = model.tokenizer->encode_target(fact.target_true).ids.size() > 1;
    if (!truth.all_top1) {
      ++kinds.not_said;
    } else if (found[i].known) {
      ++(several ? kinds.known_of_several : kinds.known);
    } else {
      ++(several ? kinds.common_of_several : kinds.common);
    }
  }
  const model::Work all = model::work() - written_out;
  // Every way to decide was taken.
  EXPECT_GT(kinds.known, 0);
  EXPECT_GT(kinds.known_of_several, 0);
  EXPECT_GT(kinds.common, 0);
  EXPECT_GT(kinds.common_of_several, 0);
  EXPECT_GT(kinds.not_said, 0);
  EXPECT_LT(4 * done.layer_tokens, all.layer_tokens);
}

TEST(Knowledge, ReadsBackAsItWasStored) {
  const TemporaryFolder folder;
  std::vector<data::Fact> facts(2);
  facts[1].id = "b";
  const std::vector<Knowledge> knowledge{{{-0.5, true, 0.25}, std::exp(-0.5), true},
                                         {{-3, false, -1}, std::exp(-3.0), false}};
  save_knowledge(facts, knowledge, folder.path());
  const auto read = load_knowledge(folder.path());
  ASSERT_EQ(read.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(read[i].known, knowledge[i].known);
    EXPECT_EQ(read[i].truth.logp, knowledge[i].truth.logp);
    EXPECT_EQ(read[i].truth.margin, knowledge[i].truth.margin);
    EXPECT_EQ(read[i].truth.all_top1, knowledge[i].truth.all_top1);
    EXPECT_EQ(read[i].probability, knowledge[i].probability);
  }
}

}  // namespace
}  // namespace palimpsest::experiment
