#include "model/generation.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"
#include "model/golden_model.hpp"
#include "model/work.hpp"

namespace palimpsest::model {
namespace {

using Tokens = std::vector<std::int64_t>;

class Generation : public ::testing::TestWithParam<std::string> {
 protected:
  Generation() {
    for (int i = 0; i < 4; ++i) {
      prompts.push_back(reference.list(cat("generate.", i, ".prompt")));
      wanted.push_back(reference.list(cat("generate.", i, ".continuation")));
    }
    options.max_new_tokens = 10;
  }

  const Reference reference{GetParam()};
  const Model model = open_model(golden_folder(GetParam()));
  std::vector<Tokens> prompts, wanted;
  GenerationOptions options;
};

INSTANTIATE_TEST_SUITE_P(Models, Generation, ::testing::ValuesIn(golden_names()),
                         [](const auto& test) { return test.param; });

TEST_P(Generation, GreedyRaggedBatchEqualsTransformers) { EXPECT_EQ(generate(model, prompts, options), wanted); }

TEST_P(Generation, BatchSizeDoesNotMatter) {
  options.batch_rows = 3;
  EXPECT_EQ(generate(model, prompts, options), wanted);
  options.batch_rows = 1;
  EXPECT_EQ(generate(model, prompts, options), wanted);
}

TEST_P(Generation, AStopIdEndsItsRowAndTheOthersGoOn) {
  options.stop_ids = {wanted[1][3]};
  const std::vector<Tokens> got = generate(model, prompts, options);
  for (std::size_t row = 0; row < wanted.size(); ++row) {
    Tokens expected = wanted[row];
    const auto stop = std::find(expected.begin(), expected.end(), wanted[1][3]);
    if (stop != expected.end()) expected.erase(stop + 1, expected.end());
    EXPECT_EQ(got[row], expected) << row;
  }
}

TEST_P(Generation, EndedRowsLeaveTheBatch) {
  std::int64_t asked = 0;
  options.stop = [&asked](std::int64_t row, const Tokens& continuation) {
    ++asked;
    return static_cast<std::int64_t>(continuation.size()) == row + 2;
  };
  const Work before = work();
  const std::vector<Tokens> got = generate(model, prompts, options);
  for (std::size_t row = 0; row < got.size(); ++row) EXPECT_EQ(got[row].size(), row + 2);
  const Work done = work() - before;
  // 5 + 9 + 2 + 5 prompt tokens, then one token per further one; the last token of a row is never run.
  EXPECT_EQ(done.layer_tokens, (21 + 1 + 2 + 3 + 4) * model.config.layers);
  EXPECT_EQ(done.head_rows, 2 + 3 + 4 + 5);
  EXPECT_EQ(asked, done.head_rows);
}

TEST_P(Generation, OverridesAct) {
  const std::string name = "layers.0.mlp.down.weight";
  at::manual_seed(2);
  const at::Tensor& weight = model.parameters.at(name);
  const at::Tensor changed = weight + at::randn_like(weight);
  Overrides overrides;
  overrides[name].dense = changed;
  const std::vector<Tokens> got = generate(model, prompts, options, overrides);
  EXPECT_NE(got, wanted);
  EXPECT_EQ(got, generate(model.config, model.parameters.with(name, changed), prompts, options));
}

TEST_P(Generation, SamplingFollowsItsStream) {
  options.temperature = 1.5;
  options.stream = "test";
  const auto sampled = [&](std::uint64_t seed) {
    options.seed = seed;
    return generate(model, prompts, options);
  };
  const auto first = sampled(1);
  EXPECT_EQ(first, sampled(1));
  EXPECT_NE(first, sampled(2));
  options.stream = "other";
  EXPECT_NE(first, sampled(1));
  options.stream = "test";
  // Only one token can be drawn, whatever the temperature.
  options.top_k = 1;
  EXPECT_EQ(sampled(1), wanted);
  options.top_k = 0;
  options.top_p = 1e-9;
  EXPECT_EQ(sampled(1), wanted);
}

// Whoever else is in the batch, and whenever the others end.
TEST_P(Generation, ASampledTextDoesNotDependOnTheOthers) {
  options.temperature = 1.5;
  options.seed = 1;
  options.stream = "test";
  const std::vector<Tokens> all = generate(model, prompts, options);
  for (std::size_t row = 0; row < all.size(); ++row) {
    options.stop = [row](std::int64_t other, const Tokens&) { return other != static_cast<std::int64_t>(row); };
    EXPECT_EQ(generate(model, prompts, options)[row], all[row]) << row;
  }
  options.stop = nullptr;
  options.batch_rows = 1;
  EXPECT_EQ(generate(model, prompts, options), all);
  // One prompt twice is two texts.
  const std::vector<Tokens> twice = generate(model, {prompts[0], prompts[0]}, options);
  EXPECT_EQ(twice[0], all[0]);
  EXPECT_NE(twice[1], twice[0]);
}

// One prompt a thousand times: the first tokens' shares against their probabilities.
TEST(GenerationSampling, SharesAreTheProbabilities) {
  const Model model = open_model(golden_folder("llama_tied"));
  const std::vector<Tokens> prompts(4000, Tokens{10, 20, 30});
  ForwardRequest request;
  request.token_ids = at::tensor({std::int64_t{10}, std::int64_t{20}, std::int64_t{30}}).unsqueeze(0);
  request.logits = {{0, 2}};
  const at::Tensor p = at::softmax(forward(model, request).logits[0].to(at::kDouble) / 2.0, 0);
  GenerationOptions options;
  options.max_new_tokens = 1;
  options.temperature = 2.0;
  options.seed = 3;
  options.stream = "shares";
  at::Tensor counts = at::zeros({256}, at::kDouble);
  for (const Tokens& continuation : generate(model, prompts, options)) counts[continuation[0]] += 1;
  const at::Tensor deviation = (counts / 4000 - p).abs() / (p / 4000).sqrt();
  const std::int64_t best = p.argmax().item<std::int64_t>();
  EXPECT_LT(deviation[best].item<double>(), 4.0);
  EXPECT_LT((counts / 4000 - p).abs().sum().item<double>(), 0.3);
}

TEST(GenerationRefusals, SayWhat) {
  const Model model = open_model(golden_folder("llama_tied"));
  const auto message = [&](const std::vector<Tokens>& prompts, const GenerationOptions& options) -> std::string {
    try {
      generate(model, prompts, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  GenerationOptions options;
  EXPECT_THAT(message({{1}, {}}, options), ::testing::HasSubstr("prompt 1 is empty"));
  EXPECT_THAT(message({{1, 256}}, options), ::testing::HasSubstr("token 256 of prompt 0"));
  EXPECT_THAT(message({Tokens(100, 5)}, options), ::testing::HasSubstr("exceed the model's 128 positions"));
  options.temperature = 1;
  EXPECT_THAT(message({{1}}, options), ::testing::HasSubstr("needs a random stream"));
  EXPECT_TRUE(generate(model, {}, GenerationOptions{}).empty());
}

}  // namespace
}  // namespace palimpsest::model
