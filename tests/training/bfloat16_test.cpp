// Fine-tuning a model that is held in bfloat16: float32 copies of what is trained take the steps, the model sees their
// rounding; or, without such masters, its own weights take them, rounded stochastically.
#include <gmock/gmock.h>

#include "base/error.hpp"
#include "support/error_of.hpp"
#include "training/tiny_training.hpp"

namespace palimpsest::training {
namespace {

using model::equal_bits;
using model::relative_difference;
using ::testing::HasSubstr;

class Bfloat16 : public ::testing::Test {
 protected:
  TrainingResult run(const TrainingOptions& options, const std::vector<Decision>& decisions) const {
    return train(narrow.config, narrow.parameters, data, decisions, options, 1);
  }
  std::string refusal(const TrainingOptions& options, const std::vector<Decision>& decisions) const {
    try {
      run(options, decisions);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      return error.what();
    }
    return "(trained)";
  }

  const model::Model narrow = model::open_model(model::golden_folder("llama_tied"), {.dtype = at::kBFloat16});
  const model::Parameters wide = narrow.parameters.to(at::kFloat, at::kCPU);
  TrainingData data{tiny_rows(32, 16, 1), tiny_rows(6, 16, 2)};
};

class Bfloat16Masters : public Bfloat16, public ::testing::WithParamInterface<Masters> {};
INSTANTIATE_TEST_SUITE_P(Masters, Bfloat16Masters, ::testing::Values(Masters::kFloat32, Masters::kNone),
                         [](const auto& test) {
                           return std::string(test.param == Masters::kNone ? "none" : "float32");
                         });

TEST_P(Bfloat16Masters, LearnsAsItDoesInFloat32) {
  TrainingOptions options = tiny_options(40);
  options.masters = GetParam();
  options.evaluate_every = 40;
  std::vector<Decision> decisions = all_trainable(narrow.parameters);
  const std::size_t frozen = narrow.parameters.index("layers.1.mlp.down.weight");
  decisions[frozen].frozen = true;
  const TrainingResult result = run(options, decisions);
  EXPECT_LT(result.steps.back().loss, 0.5 * result.steps.front().loss);
  options.masters = Masters::kFloat32;
  const TrainingResult wanted = train(narrow.config, wide, data, decisions, options, 1);
  EXPECT_NEAR(result.dose.validation_after.value(), wanted.dose.validation_after.value(), 0.1);
  // What the validation loss is of is the rounded model.
  EXPECT_DOUBLE_EQ(
      result.dose.validation_after.value(),
      validation_loss(narrow.config, result.parameters, data.validation, 4, options.precision, options.matmul));
  for (std::size_t i = 0; i < result.parameters.size(); ++i) {
    EXPECT_EQ(result.parameters[i].scalar_type(), at::kBFloat16);
    EXPECT_FALSE(result.parameters[i].requires_grad());
    EXPECT_EQ(equal_bits(result.parameters[i], narrow.parameters[i]), i == frozen) << narrow.parameters.infos()[i].name;
  }
  EXPECT_EQ(result.dose.parameters[frozen], 0);
}

// Each step is below half a unit in bfloat16's last place of nearly every weight, and would be lost alone.
TEST_P(Bfloat16Masters, SmallStepsAddUp) {
  TrainingOptions options = tiny_options(60);
  options.masters = GetParam();
  options.schedule = {ScheduleKind::kConstant, 1e-4, 0};
  const std::vector<Decision> decisions = all_trainable(narrow.parameters);
  const std::string name = "layers.1.mlp.down.weight";
  const at::Tensor before = wide.at(name);
  const at::Tensor moved = run(options, decisions).parameters.at(name).to(at::kFloat) - before;
  options.masters = Masters::kFloat32;
  const at::Tensor wanted = train(narrow.config, wide, data, decisions, options, 1).parameters.at(name) - before;
  // The share of the movement that rounding leaves: far from all, far from nothing.
  const double share = (moved * wanted).sum().item<double>() / wanted.square().sum().item<double>();
  EXPECT_NEAR(share, 1.0, 0.1);
}

// By the seed, of which every step and every parameter takes bits of its own; measuring does not move it.
TEST_P(Bfloat16Masters, SameSeedSameBits) {
  TrainingOptions options = tiny_options(5);
  options.masters = GetParam();
  const std::vector<Decision> decisions = all_trainable(narrow.parameters);
  const TrainingResult once = run(options, decisions);
  options.adamw.state = StatePlace::kHost;
  options.evaluate_every = 1;
  options.measure.every = 1;
  const TrainingResult again = run(options, decisions);
  for (std::size_t i = 0; i < once.parameters.size(); ++i) {
    EXPECT_TRUE(equal_bits(once.parameters[i], again.parameters[i])) << once.parameters.infos()[i].name;
  }
  // Another seed orders the rows otherwise, too; with one row all that is left of it is the rounding.
  data.train.resize(1);
  const TrainingResult a = train(narrow.config, narrow.parameters, data, decisions, options, 1);
  const TrainingResult b = train(narrow.config, narrow.parameters, data, decisions, options, 2);
  EXPECT_EQ(a.steps[1].loss == b.steps[1].loss, GetParam() == Masters::kFloat32);
}

TEST_F(Bfloat16, WhatItWouldDoBadlyIsRefused) {
  std::vector<Decision> decisions = all_trainable(narrow.parameters);
  TrainingOptions options = tiny_options(2);
  options.tuning.method = TuningMethod::kLora;
  EXPECT_THAT(refusal(options, decisions), HasSubstr("lora of a model in bfloat16"));
  options.tuning.method = TuningMethod::kFull;
  const std::size_t place = narrow.parameters.index("layers.1.mlp.down.weight");
  const at::Tensor basis = at::eye(32).narrow(1, 0, 2).contiguous();
  decisions[place].projections = {{Side::kOut, basis}};
  EXPECT_THAT(refusal(options, decisions), HasSubstr("layers.1.mlp.down.weight is projected and held in bfloat16"));
}

TEST_F(Bfloat16, AModelInFloat32HasNoMastersToLeaveOut) {
  TrainingOptions options = tiny_options(2);
  options.masters = Masters::kNone;
  const Error error = error_of([&] { train(narrow.config, wide, data, all_trainable(wide), options, 1); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("masters = none is for a model in bfloat16, and embed.weight is held in float32; "
                                      "set model.dtype = \"bfloat16\", or masters = \"float32\""));
}

}  // namespace
}  // namespace palimpsest::training
