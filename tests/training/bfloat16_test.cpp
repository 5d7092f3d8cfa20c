// Fine-tuning a model that is held in bfloat16: float32 copies of what is trained take the steps, the model sees their
// rounding.
#include <gmock/gmock.h>

#include "base/error.hpp"
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

TEST_F(Bfloat16, LearnsAsItDoesInFloat32) {
  TrainingOptions options = tiny_options(40);
  options.evaluate_every = 40;
  std::vector<Decision> decisions = all_trainable(narrow.parameters);
  const std::size_t frozen = narrow.parameters.index("layers.1.mlp.down.weight");
  decisions[frozen].frozen = true;
  const TrainingResult result = run(options, decisions);
  EXPECT_LT(result.steps.back().loss, 0.5 * result.steps.front().loss);
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
TEST_F(Bfloat16, SmallStepsAddUp) {
  TrainingOptions options = tiny_options(60);
  options.schedule = {ScheduleKind::kConstant, 1e-4, 0};
  const std::vector<Decision> decisions = all_trainable(narrow.parameters);
  const std::string name = "layers.1.mlp.down.weight";
  const at::Tensor before = wide.at(name);
  const at::Tensor moved = run(options, decisions).parameters.at(name).to(at::kFloat) - before;
  const at::Tensor wanted = train(narrow.config, wide, data, decisions, options, 1).parameters.at(name) - before;
  // The share of the movement that rounding leaves: far from all, far from nothing.
  const double share = (moved * wanted).sum().item<double>() / wanted.square().sum().item<double>();
  EXPECT_NEAR(share, 1.0, 0.1);
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

}  // namespace
}  // namespace palimpsest::training
