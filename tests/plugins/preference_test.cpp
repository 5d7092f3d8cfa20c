// Direct preference optimisation against transformers and torch (tests/golden/make_preference_golden.py), finite
// differences, and the score by rows alone.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "base/rng.hpp"
#include "model/architectures/registry.hpp"
#include "model/decoder.hpp"
#include "model/safetensors.hpp"
#include "model/work.hpp"
#include "plugins/task_data.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;
using testing::HasSubstr;

// As in the script.
constexpr double kBeta = 0.3, kScale = 1.02;
Table pairs() {
  const std::vector<std::vector<std::string>> rows = {
      {"How to warm a room", "light the stove", "open all windows and doors"},
      {"Where is the city", "in the north", "it is"},
      {"Sing", "la la la", "no"}};
  return {{"prompt", "chosen", "rejected"}, rows, rows};
}

class Dump {
 public:
  at::Tensor at(const std::string& name) const {
    const model::TensorView* view = file_->find(name);
    if (view == nullptr) throw std::runtime_error("the dump has no " + name);
    at::Tensor tensor = at::empty(view->shape, view->dtype == model::DType::kInt64 ? at::kLong : at::kFloat);
    std::memcpy(tensor.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
    return tensor;
  }

 private:
  std::shared_ptr<const model::SafetensorsFile> file_ =
      model::SafetensorsFile::open(std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "preference.safetensors");
};

model::Parameters scaled(const model::Parameters& weights, double factor, bool requires_grad) {
  std::vector<at::Tensor> tensors;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    tensors.push_back((weights[i].detach() * factor).requires_grad_(requires_grad));
  }
  return model::Parameters(weights.infos(), std::move(tensors));
}

class Preference : public ::testing::Test {
 protected:
  // The reference is the unedited checkpoint.
  void SetUp() override {
    task.prepare(world.model());
    task.prepare_loss(world.model());
  }
  at::Tensor loss_of(const model::Parameters& weights, std::vector<std::int64_t> examples,
                     palimpsest_split split = PALIMPSEST_TRAIN) {
    palimpsest_model model = world.model();
    model.current = weights;
    return task.loss(model, split, examples);
  }

  World world{/*edited=*/false};
  plugin::Task task{find("finetune-task", "preference"), session_over(world, pairs()),
                    over_file({number("beta", kBeta)})};
  const model::Parameters& reference = world.opened().parameters;
};

TEST_F(Preference, LossAndEveryGradientEqualTorch) {
  const Dump dump;
  for (std::int64_t i = 0; i < 3; ++i) {
    const at::Tensor chosen = dump.at(cat("ids.", i, ".chosen")), rejected = dump.at(cat("ids.", i, ".rejected"));
    EXPECT_TRUE(at::tensor(task.example(PALIMPSEST_TRAIN, i).token_ids).equal(at::cat({chosen, rejected})));
  }
  const c10::AutoGradMode grad_mode(true);
  const model::Parameters policy = scaled(reference, kScale, true);
  const at::Tensor loss = loss_of(policy, {0, 1, 2});
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  EXPECT_NEAR(loss.item<double>(), dump.at("loss").item<double>(), 1e-5);
  for (std::int64_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(loss_of(policy, {i}).item<double>(), dump.at("losses")[i].item<double>(), 1e-5);
  }
  loss.backward();
  const model::Architecture& architecture = model::find_architecture(world.opened().config.architecture, "test");
  for (std::size_t i = 0; i < policy.size(); ++i) {
    const std::string& name = policy.infos()[i].name;
    const at::Tensor wanted = dump.at("grad." + model::stored_name(architecture, name).name);
    ASSERT_TRUE(policy[i].grad().defined()) << name;
    const double relative = (policy[i].grad() - wanted).norm().item<double>() / wanted.norm().item<double>();
    EXPECT_LT(relative, 1e-4) << name;
    EXPECT_FALSE(reference[i].requires_grad());
  }
}

// Activation checkpointing reaches the model that the loss asks, which runs every layer once more.
TEST_F(Preference, RecomputedLayersGiveTheSameBits) {
  const c10::AutoGradMode grad_mode(true);
  const auto gradients = [&](bool recompute) {
    const model::Parameters policy = scaled(reference, kScale, true);
    palimpsest_model model = world.model();
    model.current = policy;
    model.recompute_layers = recompute;
    const std::vector<std::int64_t> examples = {0, 1, 2};
    task.loss(model, PALIMPSEST_TRAIN, examples).backward();
    std::vector<at::Tensor> made;
    for (std::size_t i = 0; i < policy.size(); ++i) made.push_back(policy[i].grad());
    return made;
  };
  const model::Work start = model::work();
  const auto plain = gradients(false);
  const model::Work middle = model::work();
  const auto again = gradients(true);
  const model::Work without = middle - start, with = model::work() - middle;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_TRUE(plain[i].equal(again[i])) << reference.infos()[i].name;
  }
  EXPECT_GT(without.layer_tokens, 0);
  EXPECT_EQ(with.recomputed_layer_tokens, without.layer_tokens);
  EXPECT_EQ(with.layer_tokens, 2 * without.layer_tokens);
}

// d loss along a direction, against central differences of the loss in float32.
TEST_F(Preference, GradientEqualsFiniteDifferences) {
  const c10::AutoGradMode grad_mode(true);
  const model::Parameters policy = scaled(reference, kScale, true);
  loss_of(policy, {0, 1, 2}).backward();
  Rng rng(11, "tests.preference");
  double slope = 0;
  std::vector<at::Tensor> direction;
  for (std::size_t i = 0; i < policy.size(); ++i) {
    at::Tensor d = at::empty(policy[i].sizes(), at::kFloat);
    for (float *x = d.mutable_data_ptr<float>(), *end = x + d.numel(); x != end; ++x) {
      *x = static_cast<float>(rng.uniform() - 0.5);
    }
    slope += (policy[i].grad().to(at::kDouble) * d.to(at::kDouble)).sum().item<double>();
    direction.push_back(d);
  }
  const auto at_distance = [&](double step) {
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> moved;
    for (std::size_t i = 0; i < policy.size(); ++i) moved.push_back(policy[i].detach() + step * direction[i]);
    return loss_of(model::Parameters(policy.infos(), std::move(moved)), {0, 1, 2}).item<double>();
  };
  constexpr double kStep = 1e-3;
  const double difference = (at_distance(kStep) - at_distance(-kStep)) / (2 * kStep);
  // float32 losses near 0.7 are good to 1e-7, so differences over 2e-3 to 1e-4.
  EXPECT_NEAR(difference, slope, 2e-3 * std::abs(slope) + 2e-4);
  EXPECT_GT(std::abs(slope), 1e-2);
}

TEST_F(Preference, EntersAtLogTwoWithoutReward) {
  const c10::NoGradGuard no_grad;
  EXPECT_NEAR(loss_of(reference, {0, 1, 2}).item<double>(), std::log(2.0), 1e-6);
  const Values score = by_name(task.score_columns(), task.score(world.model())).front();
  EXPECT_EQ(score.at("pairs"), 3);
  EXPECT_EQ(score.at("reward_accuracy"), 0);
  EXPECT_EQ(score.at("reward_margin"), 0);
}

// The shares and the margin from whole forwards of one row at a time.
TEST_F(Preference, ScoresAsRowsAloneDo) {
  const c10::NoGradGuard no_grad;
  const auto& tokenizer = *world.opened().tokenizer;
  const auto logp = [&](const model::Parameters& weights, const std::string& prompt, const std::string& response) {
    std::vector<std::int64_t> ids = tokenizer.encode_prompt("Question: " + prompt + "\nAnswer:").ids;
    std::vector<std::int64_t> labels(ids.size(), -100);
    std::vector<std::int64_t> more = tokenizer.encode(" " + response).ids;
    more.push_back(2);  // <|end|>
    ids.insert(ids.end(), more.begin(), more.end());
    labels.insert(labels.end(), more.begin(), more.end());
    return -model::causal_loss(world.opened().config, weights, at::tensor(ids).unsqueeze(0), {},
                               at::tensor(labels).unsqueeze(0))
                .item<double>() *
           static_cast<double>(more.size());
  };
  const model::Parameters policy = scaled(reference, kScale, false);
  double preferred = 0, rewarded = 0, margins = 0;
  for (const auto& row : pairs().validation) {
    const double now = logp(policy, row[0], row[1]) - logp(policy, row[0], row[2]);
    const double margin = kBeta * (now - (logp(reference, row[0], row[1]) - logp(reference, row[0], row[2])));
    preferred += now > 0 ? 1 : 0;
    rewarded += margin > 0 ? 1 : 0;
    margins += margin;
  }
  palimpsest_model model = world.model();
  model.current = policy;
  const Values score = by_name(task.score_columns(), task.score(model)).front();
  EXPECT_DOUBLE_EQ(score.at("preferred"), preferred / 3);
  EXPECT_DOUBLE_EQ(score.at("reward_accuracy"), rewarded / 3);
  EXPECT_NEAR(score.at("reward_margin"), margins / 3, 1e-5);
}

TEST_F(Preference, KeepsAsManyPairsAsAskedAndRefusesEqualOnes) {
  plugin::Task few(find("finetune-task", "preference"), session_over(world, pairs()),
                   over_file({integer("train_examples", 2), integer("score_examples", 1)}));
  few.prepare(world.model());
  EXPECT_EQ(few.count(PALIMPSEST_TRAIN), 2);
  EXPECT_EQ(few.count(PALIMPSEST_VALIDATION), 1);
  Table table = pairs();
  table.train[1][2] = table.train[1][1];
  plugin::Task equal(find("finetune-task", "preference"), session_over(world, table), over_file());
  EXPECT_THAT(refusal(equal, world.model()), HasSubstr("expected two that differ"));
}

TEST_F(Preference, LossBeforeItsPreparationIsAnError) {
  plugin::Task early(find("finetune-task", "preference"), session_over(world, pairs()), over_file());
  early.prepare(world.model());
  palimpsest_model model = world.model();
  const std::vector<std::int64_t> examples = {0};
  try {
    early.loss(model, PALIMPSEST_TRAIN, examples);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("asked for before its preparation"));
  }
}

}  // namespace
}  // namespace palimpsest::plugin_tests
