// Metrics against the plainest computation: one whole forward per prompt and target, no cache, no batch.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

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
  bool all_greedy() const {
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (!greedy(t)) return false;
    }
    return true;
  }
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

// The model is made to say the target: in the (tied) embedding the rows of the greedy token and of the target change
// places, and since neither stands in the prompt, nothing but the answer changes.
TEST_F(RetentionTest, FindsWhatTheModelSays) {
  const model::Tokenizer& tokenizer = *world_.opened().tokenizer;
  const data::Fact& fact = *world_.facts()[0]->fact;
  const auto prompt = tokenizer.encode_prompt(prompt_of(world_.facts()[0])).ids;
  model::GenerationOptions options;
  options.max_new_tokens = 1;
  const auto said = model::generate(world_.opened().config, world_.model().current, {prompt}, options).front().front();
  const auto target = tokenizer.encode_target(fact.target_new).ids;
  ASSERT_EQ(target.size(), 1U);
  ASSERT_NE(said, target[0]);
  ASSERT_EQ(std::count(prompt.begin(), prompt.end(), said) + std::count(prompt.begin(), prompt.end(), target[0]), 0);

  const auto row_with = [&] { return measure({integer("max_new_tokens", 1)}).front(); };
  const Values before = row_with();
  const at::Tensor embedding = world_.model().current.at("embed.weight");
  at::Tensor swapped = embedding.clone();
  swapped[said] = embedding[target[0]];
  swapped[target[0]] = embedding[said];
  world_.model().current = world_.model().current.with("embed.weight", swapped);
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

TEST(EditSuccess, EqualsWholeForwards) {
  World world;
  plugin::Metric metric(find("metric", "edit_success"), world.session(), {});
  const auto rows = by_name(metric.columns(), metric.measure(world.model(), {1, "edited", 0}, world.facts()));
  ASSERT_EQ(rows.size(), 2U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const data::Fact& fact = *world.facts()[i]->fact;
    const auto& weights = world.model().current;
    const Plain on_new = plain(world, weights, prompt_of(world.facts()[i]), fact.target_new);
    const Plain on_true = plain(world, weights, prompt_of(world.facts()[i]), fact.target_true);
    EXPECT_EQ(rows[i].at("efficacy"), on_new.mean() > on_true.mean() ? 1 : 0);
    EXPECT_EQ(rows[i].at("efficacy_sum"), on_new.sum() > on_true.sum() ? 1 : 0);
    EXPECT_NEAR(rows[i].at("efficacy_magnitude"), std::exp(on_new.mean()) - std::exp(on_true.mean()), kTolerance);
    EXPECT_NEAR(rows[i].at("efficacy_magnitude_sum"), std::exp(on_new.sum()) - std::exp(on_true.sum()), kTolerance);
    EXPECT_EQ(rows[i].at("exact_match"), on_new.all_greedy() ? 1 : 0);

    double paraphrases = 0, paraphrase_success = 0, neighbours = 0, success = 0, magnitude = 0, agree = 0, asked = 0;
    for (const auto& probe : fact.probes) {
      if (probe.split == "teach") continue;
      const std::string own = probe.target.empty() ? fact.target_true : probe.target;
      const Plain with_new = plain(world, weights, probe.prompt, fact.target_new);
      const Plain with_own = plain(world, weights, probe.prompt, own);
      if (probe.kind == "paraphrase") {
        ++paraphrases;
        paraphrase_success += with_new.mean() > with_own.mean() ? 1 : 0;
        continue;
      }
      const Plain unedited = plain(world, world.model().base, probe.prompt, own);
      ++asked;
      agree += at::equal(unedited.logp[0].argmax(), with_own.logp[0].argmax()) ? 1 : 0;
      if (probe.kind != "neighbourhood") continue;
      ++neighbours;
      success += with_own.mean() > with_new.mean() ? 1 : 0;
      magnitude += std::exp(with_own.mean()) - std::exp(with_new.mean());
    }
    EXPECT_EQ(rows[i].at("paraphrases"), paraphrases);
    EXPECT_EQ(rows[i].at("neighbourhood_prompts"), neighbours);
    EXPECT_EQ(rows[i].at("locality_prompts"), asked);
    EXPECT_NEAR(rows[i].at("paraphrase_success"), paraphrase_success / paraphrases, 1e-12);
    EXPECT_NEAR(rows[i].at("neighbourhood_success"), success / neighbours, 1e-12);
    EXPECT_NEAR(rows[i].at("neighbourhood_magnitude"), magnitude / neighbours, kTolerance);
    EXPECT_NEAR(rows[i].at("locality"), agree / asked, 1e-12);
  }
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
      EXPECT_EQ(row.at("rank"), static_cast<double>(k));
      EXPECT_EQ(row.at("token_id"), static_cast<double>(ids[k].item<std::int64_t>()));
      EXPECT_NEAR(row.at("probability"), std::exp(values[k].item<double>()), kTolerance);
      EXPECT_EQ(row.at("is_target_new"), ids[k].item<std::int64_t>() == wanted.ids[0] ? 1 : 0);
      EXPECT_EQ(row.at("is_target_true"), ids[k].item<std::int64_t>() == first_true ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace palimpsest::plugin_tests
