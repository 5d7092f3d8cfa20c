// A task's own loss in the loop: the causal loss given as one trains to the same bits; means are over rows; what has a
// gradient is what is trained.
#include <c10/core/GradMode.h>

#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "model/decoder.hpp"
#include "training/tiny_training.hpp"

namespace palimpsest::training {
namespace {

using model::equal_bits;

class OwnLoss : public ::testing::Test {
 protected:
  // The causal loss of the rows, as the loop itself takes it.
  at::Tensor causal(const model::Parameters& weights, const model::Overrides& adapters, bool validation,
                    std::span<const std::int64_t> rows) const {
    const Batch batch = make_batch(validation ? data.validation : data.train, rows);
    return model::causal_loss(entering.config, weights, batch.token_ids, batch.lengths, batch.labels, adapters);
  }
  TrainingData with(RowLoss loss) const { return {data.train, data.validation, std::move(loss)}; }
  TrainingResult run(const TrainingData& given, const TrainingOptions& options) const {
    return train(entering.config, entering.parameters, given, all_trainable(entering.parameters), options, 3);
  }

  const model::Model entering = tiny_model();
  TrainingData data{tiny_rows(16, 12, 1), tiny_rows(6, 12, 2), {}};
};

// All rows are of one length, so that the mean over labels is the mean over rows.
TEST_F(OwnLoss, CausalLossGivenAsOneGivesTheSameBits) {
  using Way = std::pair<Precision, TuningMethod>;
  for (const auto& [precision, method] : {Way{Precision::kFloat32, TuningMethod::kFull},
                                          {Precision::kBfloat16Autocast, TuningMethod::kFull},
                                          {Precision::kFloat32, TuningMethod::kDora}}) {
    TrainingOptions options = tiny_options(5);
    options.tuning.method = method;
    options.tuning.targets = {model::ParameterRole::kAttentionQuery, model::ParameterRole::kMlpDown};
    options.batch_size = 2;
    options.accumulation = 2;
    options.evaluate_every = 2;
    options.precision = precision;
    const TrainingResult usual = run(data, options);
    const TrainingResult own = run(with([this](const auto& weights, const auto& adapters, bool validation, auto rows) {
                                     return causal(weights, adapters, validation, rows);
                                   }),
                                   options);
    for (std::size_t i = 0; i < usual.parameters.size(); ++i) {
      EXPECT_TRUE(equal_bits(own.parameters[i], usual.parameters[i])) << usual.parameters.infos()[i].name;
    }
    ASSERT_EQ(own.steps.size(), usual.steps.size());
    for (std::size_t i = 0; i < own.steps.size(); ++i) {
      EXPECT_NEAR(own.steps[i].loss, usual.steps[i].loss, 1e-12);
      EXPECT_EQ(own.steps[i].tokens, usual.steps[i].tokens);
    }
    ASSERT_EQ(own.evaluations.size(), usual.evaluations.size());
    for (std::size_t i = 0; i < own.evaluations.size(); ++i) {
      EXPECT_NEAR(own.evaluations[i].validation_loss, usual.evaluations[i].validation_loss, 1e-12);
    }
  }
}

// Three rows in passes of two: the step's loss is the mean of the rows, not of the passes.
TEST_F(OwnLoss, PassesWeighAsManyRowsAsTheyHave) {
  data.train.resize(3);
  TrainingOptions options = tiny_options(1);
  options.batch_size = 2;
  options.accumulation = 2;
  options.clip_norm = 0;
  std::vector<std::vector<std::int64_t>> asked;
  const RowLoss by_row = [&](const model::Parameters& weights, const model::Overrides&, bool validation,
                             std::span<const std::int64_t> rows) {
    if (!validation) asked.emplace_back(rows.begin(), rows.end());
    at::Tensor sum;
    for (const std::int64_t row : rows) {
      const at::Tensor one = weights.at("final_norm.weight").sum() * static_cast<double>(row + 1);
      sum = sum.defined() ? sum + one : one;
    }
    return sum / static_cast<double>(rows.size());
  };
  const TrainingResult result = run(with(by_row), options);
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].size(), 2U);
  EXPECT_EQ(asked[1].size(), 1U);
  const double total = entering.parameters.at("final_norm.weight").sum().item<double>();
  EXPECT_NEAR(result.steps[0].loss, 2 * total, 1e-5 * std::abs(total));
  // d loss / d weight is 2 everywhere in final_norm and 0 elsewhere.
  EXPECT_NEAR(result.steps[0].gradient_norm,
              2 * std::sqrt(static_cast<double>(entering.parameters.at("final_norm.weight").numel())), 1e-5);
}

TEST_F(OwnLoss, SeesAGraphOnTrainedWeightsAloneAndNoneInValidation) {
  std::vector<Decision> decisions = all_trainable(entering.parameters);
  for (std::size_t i = 0; i < decisions.size(); ++i) decisions[i].frozen = i % 2 == 0;
  int trained = 0, validated = 0;
  const RowLoss watched = [&](const model::Parameters& weights, const model::Overrides& adapters, bool validation,
                              std::span<const std::int64_t> rows) {
    EXPECT_EQ(c10::GradMode::is_enabled(), !validation);
    (validation ? validated : trained) += 1;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      EXPECT_EQ(weights[i].requires_grad(), !validation && i % 2 == 1) << weights.infos()[i].name;
    }
    return causal(weights, adapters, validation, rows);
  };
  const TrainingResult result =
      train(entering.config, entering.parameters, with(watched), decisions, tiny_options(2), 3);
  EXPECT_EQ(trained, 2);
  EXPECT_EQ(validated, 4);  // six rows in fours, before and after
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    EXPECT_EQ(result.parameters[i].is_same(entering.parameters[i]), i % 2 == 0);
    EXPECT_FALSE(entering.parameters[i].requires_grad());
  }
}

TEST_F(OwnLoss, NotFiniteIsAnErrorThatNamesTheStep) {
  int calls = 0;
  const RowLoss bad = [&](const model::Parameters& weights, const model::Overrides&, bool,
                          std::span<const std::int64_t>) {
    const double factor = ++calls > 4 ? std::numeric_limits<double>::quiet_NaN() : 1;
    return weights.at("final_norm.weight").sum() * factor;
  };
  try {
    run(with(bad), tiny_options(4));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNumeric);
    EXPECT_NE(std::string(error.what()).find("the loss of step 3 is nan"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace palimpsest::training
