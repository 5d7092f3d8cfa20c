// Metrics against the plainest computation: one whole forward per prompt and target, no cache, no batch.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/error.hpp"
#include "model/decoder.hpp"
#include "model/generation.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "model/work.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;

constexpr double kTolerance = 2e-5;  // float32 logits, another order of summation

// Log-probabilities [target tokens, vocabulary], float64, that predict the target's tokens after the prompt.
struct Plain {
  std::vector<std::int64_t> ids;
  at::Tensor logp;

  double at(std::size_t token) const { return logp[static_cast<std::int64_t>(token)][ids[token]].item<double>(); }
  double sum() const {
    double total = 0;
    for (std::size_t t = 0; t < ids.size(); ++t) total += at(t);
    return total;
  }
  double mean() const { return sum() / static_cast<double>(ids.size()); }
  bool greedy(std::size_t token) const {
    return logp[static_cast<std::int64_t>(token)].argmax().item<std::int64_t>() == ids[token];
  }
  double greedy_share() const {
    double count = 0;
    for (std::size_t t = 0; t < ids.size(); ++t) count += greedy(t) ? 1 : 0;
    return count / static_cast<double>(ids.size());
  }
  bool all_greedy() const { return greedy_share() == 1; }
  double rank() const { return (logp[0] > logp[0][ids[0]]).sum().item<double>(); }
  double margin() const {
    at::Tensor others = logp[0].clone();
    others[ids[0]] = -1e30;
    return at(0) - others.max().item<double>();
  }
};

Plain plain(const World& world, const model::Parameters& weights, const std::string& prompt,
            const std::string& target) {
  const model::Tokenizer& tokenizer = *world.opened().tokenizer;
  std::vector<std::int64_t> ids = tokenizer.encode_prompt(prompt).ids;
  const Plain empty{tokenizer.encode_target(target).ids, {}};
  model::ForwardRequest request;
  for (std::size_t t = 0; t < empty.ids.size(); ++t) {
    request.logits.push_back({0, static_cast<std::int64_t>(ids.size() + t) - 1});
  }
  ids.insert(ids.end(), empty.ids.begin(), empty.ids.end());
  request.token_ids = at::tensor(ids, at::kLong).unsqueeze(0);
  const at::Tensor logits = model::forward(world.opened().config, weights, request).logits;
  return {empty.ids, at::log_softmax(logits.to(at::kDouble), -1)};
}

std::string prompt_of(const palimpsest_fact* fact) { return data::expand(fact->fact->prompt, fact->fact->subject); }

// Makes the model say `target`, one token, after the prompt: in the (tied) embedding the rows of the greedy token and
// of the target change places, and since neither stands in the prompt, nothing but the answer changes.
void make_it_say(World& world, const std::string& target, const std::string& prompt) {
  const model::Tokenizer& tokenizer = *world.opened().tokenizer;
  const auto ids = tokenizer.encode_prompt(prompt).ids;
  model::GenerationOptions options;
  options.max_new_tokens = 1;
  const auto said = model::generate(world.opened().config, world.model().current, {ids}, options).front().front();
  const auto wanted = tokenizer.encode_target(target).ids;
  ASSERT_EQ(wanted.size(), 1U);
  ASSERT_NE(said, wanted[0]);
  ASSERT_EQ(std::count(ids.begin(), ids.end(), said) + std::count(ids.begin(), ids.end(), wanted[0]), 0);
  const at::Tensor embedding = world.model().current.at("embed.weight");
  at::Tensor swapped = embedding.clone();
  swapped[said] = embedding[wanted[0]];
  swapped[wanted[0]] = embedding[said];
  world.model().current = world.model().current.with("embed.weight", swapped);
}

class RetentionTest : public testing::Test {
 protected:
  std::vector<Values> measure(std::vector<plugin::ParameterValue> values = {}) {
    plugin::Metric metric(find("metric", "retention"), world_.session(), values);
    return by_name(metric.columns(), metric.measure(world_.model(), {1, "edited", 0}, world_.facts()));
  }
  World world_;
};

TEST_F(RetentionTest, EqualsWholeForwards) {
  const auto rows = measure();
  ASSERT_EQ(rows.size(), 2U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto* fact = world_.facts()[i];
    for (const bool is_new : {true, false}) {
      const std::string suffix = is_new ? "_new" : "_true";
      const Plain wanted = plain(world_, world_.model().current, prompt_of(fact),
                                 is_new ? fact->fact->target_new : fact->fact->target_true);
      const Values& row = rows[i];
      EXPECT_NEAR(row.at("logp" + suffix), wanted.sum(), kTolerance) << i << suffix;
      EXPECT_NEAR(row.at("logp_mean" + suffix), wanted.mean(), kTolerance) << i << suffix;
      EXPECT_EQ(row.at("all_top1" + suffix), wanted.all_greedy() ? 1 : 0) << i << suffix;
      if (i == 0) {
        EXPECT_EQ(row.at("rank" + suffix), wanted.rank());
        EXPECT_NEAR(row.at("margin" + suffix), wanted.margin(), kTolerance);
        EXPECT_EQ(row.at("first_top1" + suffix), wanted.greedy(0) ? 1 : 0);
      }
    }
  }
}

TEST_F(RetentionTest, TakesTheOwnTargetByRole) {
  const auto rows = measure();
  for (const char* outcome : {"all_top1", "generated", "logp", "logp_mean", "margin", "rank"}) {
    const double of_edited = rows[0].at(outcome), of_intrinsic = rows[1].at(outcome);
    EXPECT_EQ(of_edited, rows[0].at(std::string(outcome) + "_new")) << outcome;
    if (std::isnan(of_intrinsic)) continue;
    EXPECT_EQ(of_intrinsic, rows[1].at(std::string(outcome) + "_true")) << outcome;
  }
}

TEST_F(RetentionTest, LeavesFirstTokenOutcomesOutWhereTheTargetsShareIt) {
  const auto rows = measure();
  EXPECT_EQ(rows[0].at("shared_first_token"), 0);
  EXPECT_EQ(rows[1].at("shared_first_token"), 1);
  for (const char* outcome : {"first_top1", "rank", "margin"}) {
    for (const char* suffix : {"", "_new", "_true"}) {
      EXPECT_FALSE(std::isnan(rows[0].at(std::string(outcome) + suffix))) << outcome << suffix;
      EXPECT_TRUE(std::isnan(rows[1].at(std::string(outcome) + suffix))) << outcome << suffix;
    }
  }
}

TEST_F(RetentionTest, FindsWhatTheModelSays) {
  const auto row_with = [&] { return measure({integer("max_new_tokens", 1)}).front(); };
  const Values before = row_with();
  make_it_say(world_, world_.facts()[0]->fact->target_new, prompt_of(world_.facts()[0]));
  const Values after = row_with();
  for (const char* outcome : {"all_top1", "first_top1", "generated", "retention_mixed", "all_top1_new"}) {
    EXPECT_EQ(before.at(outcome), 0) << outcome;
    EXPECT_EQ(after.at(outcome), 1) << outcome;
  }
  EXPECT_GT(before.at("rank"), 0);
  EXPECT_EQ(after.at("rank"), 0);
  EXPECT_LT(before.at("margin"), 0);
  EXPECT_GT(after.at("margin"), 0);
  EXPECT_EQ(after.at("generated_placebo"), 0);
}

// Intrinsic facts: a plain substring of prompt and continuation, which the prompt alone can satisfy.
TEST_F(RetentionTest, MixedProbesDiffer) {
  data::Fact fact = *world_.facts()[1]->fact;
  fact.target_true = "city";
  const palimpsest_fact intrinsic{&fact, "intrinsic", "", world_.facts()[1]->relation_targets};
  const palimpsest_fact edited{&fact, "edited", "", world_.facts()[1]->relation_targets};
  const std::vector<const palimpsest_fact*> facts = {&edited, &intrinsic};
  plugin::Metric metric(find("metric", "retention"), world_.session(), {});
  const auto rows = by_name(metric.columns(), metric.measure(world_.model(), {1, "edited", 0}, facts));
  EXPECT_EQ(rows[0].at("retention_mixed"), rows[0].at("first_top1_new"));
  EXPECT_EQ(rows[1].at("retention_mixed"), 1);
  EXPECT_EQ(rows[1].at("generated_true"), 0);
  EXPECT_TRUE(std::isnan(rows[1].at("generated_placebo")));
}

TEST_F(RetentionTest, WithoutATrueTargetItsColumnsAreMissing) {
  data::Fact fact = *world_.facts()[0]->fact;
  fact.target_true.clear();
  const palimpsest_fact handle{&fact, "edited", "Lima", world_.facts()[0]->relation_targets};
  const std::vector<const palimpsest_fact*> facts = {&handle};
  plugin::Metric metric(find("metric", "retention"), world_.session(), {});
  const auto row = by_name(metric.columns(), metric.measure(world_.model(), {1, "edited", 0}, facts)).front();
  for (const char* outcome : {"all_top1", "first_top1", "generated", "logp", "logp_mean", "rank", "margin"}) {
    EXPECT_TRUE(std::isnan(row.at(std::string(outcome) + "_true"))) << outcome;
    EXPECT_FALSE(std::isnan(row.at(std::string(outcome) + "_new"))) << outcome;
  }
}

// One pass over the prompts, the targets' further tokens from its cache, one generation; only the head rows asked for.
TEST_F(RetentionTest, DoesNoMoreWorkThanItMust) {
  const model::Tokenizer& tokenizer = *world_.opened().tokenizer;
  std::int64_t prompt_tokens = 0, further = 0;
  for (const auto* fact : world_.facts()) {
    prompt_tokens += static_cast<std::int64_t>(tokenizer.encode_prompt(prompt_of(fact)).ids.size());
    for (const auto& target : {fact->fact->target_new, fact->fact->target_true}) {
      further += static_cast<std::int64_t>(tokenizer.encode_target(target).ids.size()) - 1;
    }
  }
  const model::Work before = model::work();
  measure({integer("max_new_tokens", 1)});
  const model::Work done = model::work() - before;
  const std::int64_t layers = world_.info().layers;
  EXPECT_LE(done.layer_tokens, (2 * prompt_tokens + further) * layers);
  EXPECT_LE(done.head_rows, 2 + further + 2);
}

// By how much one target leads another, summed over prompts: by the mean log-probability per token, and by the sum.
struct Sums {
  double success = 0, success_sum = 0, magnitude = 0, magnitude_sum = 0;
  void add(const Plain& wanted, const Plain& other) {
    success += wanted.mean() > other.mean() ? 1 : 0;
    success_sum += wanted.sum() > other.sum() ? 1 : 0;
    magnitude += std::exp(wanted.mean()) - std::exp(other.mean());
    magnitude_sum += std::exp(wanted.sum()) - std::exp(other.sum());
  }
};

// Two facts more, so that no accuracy is 0 throughout: the model says all of the one's target and the first of two
// tokens of the other's after the prompt, which is also one of their two test paraphrases.
TEST(EditSuccess, EqualsWholeForwards) {
  World world;
  const std::string prompt = prompt_of(world.facts()[0]);
  make_it_say(world, "Oslo", prompt);
  data::Fact whole = *world.facts()[0]->fact, part = whole;
  whole.target_new = "Oslo";
  part.target_new = "Oslo Rome";
  for (data::Fact* fact : {&whole, &part}) fact->probes.push_back({"paraphrase", prompt, "", "test"});
  const palimpsest_fact third{&whole, "edited", "", world.facts()[0]->relation_targets};
  const palimpsest_fact fourth{&part, "edited", "", world.facts()[0]->relation_targets};
  const std::vector<const palimpsest_fact*> facts = {world.facts()[0], world.facts()[1], &third, &fourth};

  plugin::Metric metric(find("metric", "edit_success"), world.session(), {});
  const auto rows = by_name(metric.columns(), metric.measure(world.model(), {1, "edited", 0}, facts));
  ASSERT_EQ(rows.size(), 4U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const data::Fact& fact = *facts[i]->fact;
    const auto& weights = world.model().current;
    const Plain on_new = plain(world, weights, prompt_of(facts[i]), fact.target_new);
    const Plain on_true = plain(world, weights, prompt_of(facts[i]), fact.target_true);
    EXPECT_EQ(rows[i].at("efficacy"), on_new.mean() > on_true.mean() ? 1 : 0);
    EXPECT_EQ(rows[i].at("efficacy_sum"), on_new.sum() > on_true.sum() ? 1 : 0);
    EXPECT_NEAR(rows[i].at("efficacy_magnitude"), std::exp(on_new.mean()) - std::exp(on_true.mean()), kTolerance);
    EXPECT_NEAR(rows[i].at("efficacy_magnitude_sum"), std::exp(on_new.sum()) - std::exp(on_true.sum()), kTolerance);
    EXPECT_NEAR(rows[i].at("token_accuracy"), on_new.greedy_share(), 1e-12);
    EXPECT_EQ(rows[i].at("target_exact_match"), on_new.all_greedy() ? 1 : 0);

    double paraphrases = 0, neighbours = 0, agree = 0, asked = 0, greedy = 0, exact = 0;
    Sums on_paraphrases, on_neighbours;
    for (const auto& probe : fact.probes) {
      if (probe.split == "teach") continue;
      const std::string own = probe.target.empty() ? fact.target_true : probe.target;
      const Plain with_new = plain(world, weights, probe.prompt, fact.target_new);
      const Plain with_own = plain(world, weights, probe.prompt, own);
      if (probe.kind == "paraphrase") {
        ++paraphrases;
        on_paraphrases.add(with_new, with_own);
        greedy += with_new.greedy_share();
        exact += with_new.all_greedy() ? 1 : 0;
        continue;
      }
      const Plain unedited = plain(world, world.model().base, probe.prompt, own);
      ++asked;
      agree += at::equal(unedited.logp[0].argmax(), with_own.logp[0].argmax()) ? 1 : 0;
      if (probe.kind != "neighbourhood") continue;
      ++neighbours;
      on_neighbours.add(with_own, with_new);
    }
    EXPECT_EQ(rows[i].at("paraphrases"), paraphrases);
    EXPECT_EQ(rows[i].at("neighbourhood_prompts"), neighbours);
    EXPECT_EQ(rows[i].at("locality_prompts"), asked);
    for (const auto& [name, sums, n] : {std::tuple{"paraphrase", on_paraphrases, paraphrases},
                                        std::tuple{"neighbourhood", on_neighbours, neighbours}}) {
      const std::string of = name;
      EXPECT_NEAR(rows[i].at(of + "_success"), sums.success / n, 1e-12) << of;
      EXPECT_NEAR(rows[i].at(of + "_success_sum"), sums.success_sum / n, 1e-12) << of;
      EXPECT_NEAR(rows[i].at(of + "_magnitude"), sums.magnitude / n, kTolerance) << of;
      EXPECT_NEAR(rows[i].at(of + "_magnitude_sum"), sums.magnitude_sum / n, kTolerance) << of;
    }
    EXPECT_NEAR(rows[i].at("paraphrase_token_accuracy"), greedy / paraphrases, 1e-12);
    EXPECT_NEAR(rows[i].at("paraphrase_exact_match"), exact / paraphrases, 1e-12);
    EXPECT_NEAR(rows[i].at("locality"), agree / asked, 1e-12);
  }
  EXPECT_EQ(rows[2].at("token_accuracy"), 1);
  EXPECT_EQ(rows[2].at("target_exact_match"), 1);
  EXPECT_GE(rows[2].at("paraphrase_exact_match"), 0.5);
  EXPECT_GE(rows[3].at("token_accuracy"), 0.5);
  EXPECT_GE(rows[3].at("paraphrase_token_accuracy"), 0.25);
}

// Where a fact's own true answer is written, neighbours may have the same one: which of two equal answers leads says
// nothing.
TEST(EditSuccess, ANeighbourWithTheWrittenAnswerIsNoMeasureOfSpecificity) {
  World world;
  data::Fact fact = *world.facts()[0]->fact;
  std::erase_if(fact.probes, [](const data::Probe& probe) { return probe.kind == "neighbourhood"; });
  fact.probes.push_back({"neighbourhood", prompt_of(world.facts()[1]), fact.target_new, ""});
  const palimpsest_fact alone{&fact, "edited", "", world.facts()[0]->relation_targets};
  plugin::Metric metric(find("metric", "edit_success"), world.session(), {});
  const std::vector<const palimpsest_fact*> facts = {&alone};
  const auto row = by_name(metric.columns(), metric.measure(world.model(), {0, "base", 0}, facts)).at(0);
  EXPECT_EQ(row.at("neighbourhood_prompts"), 0);
  EXPECT_TRUE(std::isnan(row.at("neighbourhood_success")));
  EXPECT_GE(row.at("locality_prompts"), 1) << "whether the answer stays the unedited model's can still be asked";
}

TEST(EditSuccess, RunsAtTheEndsUnlessAskedForMore) {
  const World world;
  plugin::Metric ends(find("metric", "edit_success"), world.session(), {});
  EXPECT_EQ(ends.when(), PALIMPSEST_WHEN_BASE | PALIMPSEST_WHEN_EDITED | PALIMPSEST_WHEN_FINETUNED);
  plugin::Metric all(find("metric", "edit_success"), world.session(), {text("when", "all")});
  EXPECT_EQ(all.when(), PALIMPSEST_WHEN_ALWAYS);
}

TEST(EditSuccess, SeesALocalityLossOfTheEdit) {
  World world;
  // A change large enough to move every next token.
  const std::string name = "layers.1.mlp.down.weight";
  world.model().current = world.model().current.with(name, -20 * world.model().current.at(name));
  plugin::Metric metric(find("metric", "edit_success"), world.session(), {});
  const auto edited = by_name(metric.columns(), metric.measure(world.model(), {1, "edited", 0}, world.facts()));
  EXPECT_LT(edited[0].at("locality") + edited[1].at("locality"), 2);
  world.model().current = world.model().base;
  const auto same = by_name(metric.columns(), metric.measure(world.model(), {2, "finetuned", 5}, world.facts()));
  EXPECT_EQ(same[0].at("locality") + same[1].at("locality"), 2);
}

TEST(FirstToken, GivesTheMostProbableOnes) {
  World world;
  plugin::Metric metric(find("metric", "first_token"), world.session(), {integer("k", 4)});
  const auto rows = by_name(metric.columns(), metric.measure(world.model(), {0, "base", 0}, world.facts()));
  ASSERT_EQ(rows.size(), 8U);
  for (std::size_t i = 0; i < 2; ++i) {
    const data::Fact& fact = *world.facts()[i]->fact;
    const Plain wanted = plain(world, world.model().current, prompt_of(world.facts()[i]), fact.target_new);
    const auto [values, ids] = wanted.logp[0].topk(4);
    const auto first_true = world.opened().tokenizer->encode_target(fact.target_true).ids.front();
    for (std::int64_t k = 0; k < 4; ++k) {
      const Values& row = rows[i * 4 + static_cast<std::size_t>(k)];
      EXPECT_EQ(row.at("first_token_rank"), static_cast<double>(k));
      EXPECT_EQ(row.at("token_id"), static_cast<double>(ids[k].item<std::int64_t>()));
      EXPECT_NEAR(row.at("first_token_probability"), std::exp(values[k].item<double>()), kTolerance);
      EXPECT_EQ(row.at("is_target_new"), ids[k].item<std::int64_t>() == wanted.ids[0] ? 1 : 0);
      EXPECT_EQ(row.at("is_target_true"), ids[k].item<std::int64_t>() == first_true ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace palimpsest::plugin_tests
