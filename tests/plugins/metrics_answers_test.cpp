// Metrics of what the model says, and of the consequences of facts.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <memory>
#include <regex>
#include <utility>

#include "model/generation.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;

std::string prompt_of(const palimpsest_fact* fact) { return data::expand(fact->fact->prompt, fact->fact->subject); }

std::string greedy(World& world, const std::string& prompt, std::int64_t tokens) {
  model::GenerationOptions options;
  options.max_new_tokens = tokens;
  const model::Tokenizer& tokenizer = *world.opened().tokenizer;
  options.stop_ids = tokenizer.eos_ids();
  const auto ids =
      model::generate(world.opened().config, world.model().current, {tokenizer.encode_prompt(prompt).ids}, options);
  return tokenizer.decode(ids.front(), /*skip_special_tokens=*/true);
}

std::size_t place_of(const std::vector<plugin::Column>& columns, const std::string& name) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == name) return i;
  }
  ADD_FAILURE() << "no column " << name;
  return 0;
}

TEST(TokenTypes, ReadsTheGreedyAnswerOfEveryFact) {
  World world;
  plugin::Metric metric(find("metric", "token_types"), world.session(), {integer("answer_tokens", 4)});
  const auto raw = metric.measure(world.model(), {0, "base", 0}, world.facts());
  const auto rows = by_name(metric.columns(), raw);
  ASSERT_EQ(rows.size(), 2U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(raw[i].values[place_of(metric.columns(), "greedy_answer")].text,
              greedy(world, prompt_of(world.facts()[i]), 4));
    double sum = 0;
    for (const auto& [name, value] : rows[i]) sum += name.starts_with("type_") ? value : 0;
    EXPECT_EQ(sum, 1) << "one class and no other";
    const std::string type = raw[i].values[place_of(metric.columns(), "token_type")].text;
    EXPECT_EQ(rows[i].at("type_" + type), 1);
  }
}

// Whatever the model answers: as a fact's target_new it is of that class, as its target_true of that one.
TEST(TokenTypes, FollowsTheTargets) {
  World world;
  data::Fact fact = *world.facts()[0]->fact;
  const palimpsest_fact handle{&fact, "edited", "", world.facts()[0]->relation_targets};
  std::vector<const palimpsest_fact*> facts = {&handle};
  plugin::Metric metric(find("metric", "token_types"), world.session(), {integer("answer_tokens", 6)});
  const std::string answer = greedy(world, prompt_of(&handle), 6);
  const std::size_t begin = answer.find_first_not_of(" \n\t\"'([{*_");
  ASSERT_NE(begin, std::string::npos);
  const std::string said = answer.substr(begin);
  const auto type = [&] {
    return by_name(metric.columns(), metric.measure(world.model(), {0, "base", 0}, facts)).front();
  };
  EXPECT_EQ(type().at("type_target_new"), 0);
  fact.target_true = said;
  EXPECT_EQ(type().at("type_target_true"), 1);
  fact.target_new = said;
  EXPECT_EQ(type().at("type_target_new"), 1);
  fact.target_new = fact.target_true = "Oslo";
  // Another name of the subject is no answer; another fact's target is.
  fact.aliases = {said};
  for (const bool is_target : {false, true}) {
    const std::vector<std::string> targets = is_target ? std::vector<std::string>{said} : std::vector<std::string>();
    const palimpsest_fact related{&fact, "edited", "", std::make_shared<const std::vector<std::string>>(targets)};
    facts = {&related};
    EXPECT_EQ(type().at("type_other_target"), is_target ? 1 : 0);
  }
}

TEST(Generation, WritesTheSameAtEveryPointOfTheSameModel) {
  World world;
  plugin::Metric metric(find("metric", "generation"), world.session(), {integer("max_new_tokens", 12)});
  const auto first = metric.measure(world.model(), {0, "base", 0}, world.facts());
  const auto second = metric.measure(world.model(), {1, "edited", 0}, world.facts());
  const std::size_t at = place_of(metric.columns(), "text");
  ASSERT_EQ(first.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(first[i].values[at].text, second[i].values[at].text);
    EXPECT_THAT(first[i].values[at].text, testing::StartsWith(prompt_of(world.facts()[i])));
  }
  const auto rows = by_name(metric.columns(), first);
  // The own prompt and one test paraphrase; the teach paraphrases are not seen.
  EXPECT_EQ(rows[0].at("texts"), 2);
  for (const auto& row : rows) {
    EXPECT_NEAR(row.at("ngram_entropy"), (2.0 / 3 * row.at("bigram_entropy") + 4.0 / 3 * row.at("trigram_entropy")) / 2,
                1e-12);
    EXPECT_GT(row.at("ngram_entropy"), 0);
    EXPECT_LE(row.at("continuation_tokens"), 12);
  }
}

// Entropy of the n-grams of the words and signs of an ASCII text, by counting, in bit.
double entropy(const std::string& text, std::size_t n) {
  static const std::regex kPiece("[A-Za-z0-9_]+|[^A-Za-z0-9_ \n\t\r]");
  const std::vector<std::string> pieces(std::sregex_token_iterator(text.begin(), text.end(), kPiece),
                                        std::sregex_token_iterator());
  std::map<std::string, double> counts;
  double total = 0;
  for (std::size_t at = 0; at + n <= pieces.size(); ++at, ++total) {
    std::string ngram;
    for (std::size_t i = at; i < at + n; ++i) ngram += pieces[i] + "\n";
    ++counts[ngram];
  }
  double bits = 0;
  for (const auto& [ngram, count] : counts) bits += count / total * std::log2(total / count);
  return bits;
}

// Every fact's columns from its text, and of two texts their means. A fact whose prompt is the other one's paraphrase
// stands where that paraphrase would, so it gets the same random numbers and writes the second text.
TEST(Generation, EntropiesAreThoseOfItsTexts) {
  World world;
  const data::Fact& own = *world.facts()[0]->fact;
  data::Fact rephrased = own;
  rephrased.prompt = "The house of {} is in";
  const palimpsest_fact handle{&rephrased, "edited", "", world.facts()[0]->relation_targets};
  const auto measure = [&](std::int64_t prompts, const std::vector<const palimpsest_fact*>& facts) {
    plugin::Metric metric(find("metric", "generation"), world.session(),
                          {integer("max_new_tokens", 40), integer("prompts", prompts)});
    const auto raw = metric.measure(world.model(), {0, "base", 0}, facts);
    std::vector<std::string> texts;
    for (const auto& row : raw) texts.push_back(row.values[place_of(metric.columns(), "text")].text);
    return std::pair(by_name(metric.columns(), raw), texts);
  };
  const auto [apart, texts] = measure(1, {world.facts()[0], &handle});
  const std::string prompts[] = {prompt_of(world.facts()[0]), prompt_of(&handle)};
  for (std::size_t i = 0; i < 2; ++i) {
    ASSERT_THAT(texts[i], testing::StartsWith(prompts[i]));
    const std::string continuation = texts[i].substr(prompts[i].size());
    const auto weighted = [](const std::string& of) { return (2 * entropy(of, 2) + 4 * entropy(of, 3)) / 6; };
    EXPECT_NEAR(apart[i].at("bigram_entropy"), entropy(texts[i], 2), 1e-9) << texts[i];
    EXPECT_NEAR(apart[i].at("trigram_entropy"), entropy(texts[i], 3), 1e-9) << texts[i];
    EXPECT_NEAR(apart[i].at("ngram_entropy"), weighted(texts[i]), 1e-9) << texts[i];
    EXPECT_NEAR(apart[i].at("continuation_entropy"), weighted(continuation), 1e-9) << continuation;
    EXPECT_GT(apart[i].at("continuation_entropy"), 0) << continuation;
    EXPECT_NE(apart[i].at("continuation_entropy"), apart[i].at("ngram_entropy"));
  }
  const auto [together, first] = measure(2, {world.facts()[0]});
  EXPECT_EQ(together[0].at("texts"), 2);
  EXPECT_EQ(first[0], texts[0]);
  for (const char* column :
       {"ngram_entropy", "continuation_entropy", "bigram_entropy", "trigram_entropy", "continuation_tokens"}) {
    EXPECT_NEAR(together[0].at(column), (apart[0].at(column) + apart[1].at(column)) / 2, 1e-9) << column;
  }
  // Alone it writes what it wrote beside another.
  EXPECT_EQ(measure(1, {world.facts()[0]}).second[0], texts[0]);
}

TEST(Portability, ScoresTheProbesOfItsKind) {
  World world;
  data::Fact edited = *world.facts()[0]->fact, intrinsic = *world.facts()[1]->fact;
  const model::Tokenizer& tokenizer = *world.opened().tokenizer;
  // An answer that the model gives, and one that it does not.
  const std::string prompt = "The friend of Alma Dorn pays in";
  model::GenerationOptions options;
  options.max_new_tokens = 1;
  const auto said =
      model::generate(world.opened().config, world.model().current, {tokenizer.encode_prompt(prompt).ids}, options)
          .front()
          .front();
  edited.probes.push_back({"portability", prompt, "Oslo", ""});
  edited.probes.push_back({"portability", "The friend of Alma Dorn is often in", "", ""});
  intrinsic.probes.clear();
  const palimpsest_fact first{&edited, "edited", "", world.facts()[0]->relation_targets};
  const palimpsest_fact second{&intrinsic, "intrinsic", "", world.facts()[1]->relation_targets};
  const std::vector<const palimpsest_fact*> facts = {&first, &second};
  plugin::Metric metric(find("metric", "portability"), world.session(), {});
  const auto measure = [&] {
    return by_name(metric.columns(), metric.measure(world.model(), {1, "edited", 0}, facts));
  };
  const auto rows = measure();
  EXPECT_EQ(rows[0].at("portability_probes"), 2);
  EXPECT_EQ(rows[1].at("portability_probes"), 0);
  EXPECT_TRUE(std::isnan(rows[1].at("portability_exact_match")));
  EXPECT_TRUE(std::isnan(rows[1].at("portability_logp_mean")));
  EXPECT_LT(rows[0].at("portability_logp_mean"), 0);

  // The model is made to say Oslo there: the rows of the tied embedding change places.
  const auto target = tokenizer.encode_target("Oslo").ids;
  ASSERT_EQ(target.size(), 1U);
  ASSERT_NE(said, target[0]);
  const at::Tensor embedding = world.model().current.at("embed.weight");
  at::Tensor swapped = embedding.clone();
  swapped[said] = embedding[target[0]];
  swapped[target[0]] = embedding[said];
  world.model().current = world.model().current.with("embed.weight", swapped);
  const auto after = measure();
  EXPECT_GT(after[0].at("portability_exact_match"), rows[0].at("portability_exact_match"));
  EXPECT_GT(after[0].at("portability_token_accuracy"), rows[0].at("portability_token_accuracy"));
}

}  // namespace
}  // namespace palimpsest::plugin_tests
