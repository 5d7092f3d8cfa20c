#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "training/tiny_training.hpp"

namespace palimpsest::training {
namespace {

using model::equal_bits;
using model::relative_difference;

class Loop : public ::testing::Test {
 protected:
  TrainingResult run(const TrainingOptions& options, std::uint64_t seed = 1, const Callbacks& callbacks = {}) const {
    return run(options, all_trainable(entering.parameters), seed, callbacks);
  }
  TrainingResult run(const TrainingOptions& options, const std::vector<Decision>& decisions, std::uint64_t seed = 1,
                     const Callbacks& callbacks = {}) const {
    return train(entering.config, entering.parameters, data, decisions, options, seed, callbacks);
  }
  Error error_of(const TrainingOptions& options, const std::vector<Decision>& decisions) const {
    try {
      run(options, decisions);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::kInternal, "no error");
  }

  const model::Model entering = tiny_model();
  TrainingData data{tiny_rows(32, 16, 1), tiny_rows(6, 16, 2)};
};

void expect_equal(const model::Parameters& a, const model::Parameters& b) {
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(equal_bits(a[i], b[i])) << a.infos()[i].name;
}

TEST_F(Loop, LearnsAndRecordsItsDose) {
  TrainingOptions options = tiny_options(40);
  options.evaluate_every = 10;
  const TrainingResult result = run(options);
  ASSERT_EQ(result.steps.size(), 40U);
  EXPECT_LT(result.steps.back().loss, 0.5 * result.steps.front().loss);
  EXPECT_EQ(result.stop, StopReason::kPlanned);
  std::vector<std::int64_t> evaluated;
  for (const EvaluationRecord& record : result.evaluations) evaluated.push_back(record.step);
  EXPECT_EQ(evaluated, (std::vector<std::int64_t>{0, 10, 20, 30, 40}));
  const Dose& dose = result.dose;
  EXPECT_EQ(dose.steps, 40);
  EXPECT_EQ(dose.tokens, 40 * 4 * 16);
  EXPECT_EQ(result.steps[2].tokens, 3 * 4 * 16);
  EXPECT_DOUBLE_EQ(dose.epochs, 5.0);
  EXPECT_LT(dose.validation_after.value(), dose.validation_before.value());
  EXPECT_DOUBLE_EQ(dose.validation_after.value(), validation_loss(entering.config, result.parameters, data.validation,
                                                                  4, options.precision, options.matmul));
  ASSERT_EQ(dose.layers.size(), static_cast<std::size_t>(entering.config.layers) + 1);
  EXPECT_EQ(dose.layers.front().layer, -1);
  double change = 0, weight = 0;
  for (std::size_t i = 0; i < entering.parameters.size(); ++i) {
    const at::Tensor before = entering.parameters[i].to(at::kDouble);
    const double moved = (result.parameters[i].to(at::kDouble) - before).norm().item<double>();
    EXPECT_NEAR(dose.parameters[i], moved / before.norm().item<double>(), 1e-5);
    if (entering.parameters.infos()[i].layer != 1) continue;
    change += moved * moved;
    weight += before.norm().item<double>() * before.norm().item<double>();
  }
  EXPECT_NEAR(dose.layers[2].relative, std::sqrt(change / weight), 1e-5);
  for (std::size_t i = 0; i < result.parameters.size(); ++i) EXPECT_FALSE(result.parameters[i].requires_grad());
}

TEST_F(Loop, SameSeedSameBitsAndEnteringWeightsStay) {
  std::vector<at::Tensor> before;
  for (std::size_t i = 0; i < entering.parameters.size(); ++i) before.push_back(entering.parameters[i].clone());
  const TrainingResult a = run(tiny_options(6)), b = run(tiny_options(6)), c = run(tiny_options(6), 2);
  expect_equal(a.parameters, b.parameters);
  for (std::size_t i = 0; i < a.steps.size(); ++i) EXPECT_EQ(a.steps[i].loss, b.steps[i].loss);
  EXPECT_NE(a.steps.front().loss, c.steps.front().loss);
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(equal_bits(before[i], entering.parameters[i]));
}

TEST_F(Loop, AccumulationEqualsTheWholeBatch) {
  // Ragged rows with ignored labels, so that passes count different numbers of labels.
  for (std::size_t row = 0; row < data.train.size(); ++row) {
    Example& example = data.train[row];
    example.token_ids.resize(4 + row % 13);
    example.labels = example.token_ids;
    if (row % 3 == 0) example.labels[1] = -100;
  }
  TrainingOptions whole = tiny_options(5), parts = tiny_options(5);
  whole.adamw.epsilon = parts.adamw.epsilon = 1e-4;
  whole.batch_size = 8;
  parts.batch_size = 4;
  parts.accumulation = 2;
  const TrainingResult a = run(whole), b = run(parts);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(a.steps[i].loss, b.steps[i].loss, 1e-5);
    EXPECT_NEAR(a.steps[i].gradient_norm, b.steps[i].gradient_norm, 1e-4 * a.steps[i].gradient_norm);
    EXPECT_EQ(a.steps[i].tokens, b.steps[i].tokens);
  }
  for (std::size_t i = 0; i < a.parameters.size(); ++i) {
    EXPECT_LT(relative_difference(a.parameters[i], b.parameters[i]), 1e-5) << a.parameters.infos()[i].name;
  }
}

TEST_F(Loop, FrozenParametersAreTheVerySame) {
  std::vector<Decision> decisions = all_trainable(entering.parameters);
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    const model::ParameterInfo& info = entering.parameters.infos()[i];
    decisions[i].frozen = info.layer == 1 || info.role == model::ParameterRole::kEmbedding;
  }
  const TrainingResult result = run(tiny_options(5), decisions);
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    const std::string& name = entering.parameters.infos()[i].name;
    EXPECT_EQ(result.parameters[i].is_same(entering.parameters[i]), decisions[i].frozen) << name;
    EXPECT_EQ(equal_bits(result.parameters[i], entering.parameters[i]), decisions[i].frozen) << name;
    EXPECT_EQ(result.dose.parameters[i] == 0, decisions[i].frozen) << name;
  }
  EXPECT_EQ(result.dose.layers[2].relative, 0);
  EXPECT_GT(result.dose.layers[3].relative, 0);
}

TEST_F(Loop, ProjectedDisplacementStaysOutUnderWeightDecay) {
  at::manual_seed(4);
  const std::size_t down = entering.parameters.index("layers.1.mlp.down.weight");
  const std::size_t query = entering.parameters.index("layers.0.attention.query.weight");
  const at::Tensor& weight = entering.parameters[down];
  const Projection out{Side::kOut, std::get<0>(at::linalg_qr(at::randn({weight.size(0), 2})))};
  const Projection in{Side::kIn, std::get<0>(at::linalg_qr(at::randn({entering.config.hidden, 3})))};
  TrainingOptions options = tiny_options(12);
  options.adamw.weight_decay = 1.0;
  std::vector<Decision> decisions = all_trainable(entering.parameters);
  const TrainingResult without = run(options, decisions);
  decisions[down].projections = {out};
  decisions[query].projections = {in};
  const TrainingResult with = run(options, decisions);
  const auto leak = [&](const TrainingResult& result, std::size_t i, const Projection& projection) {
    return DisplacementGuard("w", entering.parameters[i], {projection}).leaked_share(result.parameters[i]);
  };
  EXPECT_GT(leak(without, down, out), 0.05);
  EXPECT_GT(leak(without, query, in), 0.05);
  EXPECT_LE(leak(with, down, out), 1e-6);
  EXPECT_LE(leak(with, query, in), 1e-6);
  EXPECT_GT(with.dose.parameters[down], 0.01);
}

TEST_F(Loop, Bfloat16AutocastLearnsAndStaysNear) {
  TrainingOptions options = tiny_options(20);
  const TrainingResult plain = run(options);
  options.precision = Precision::kBfloat16Autocast;
  const TrainingResult cast = run(options), again = run(options);
  EXPECT_LT(cast.steps.back().loss, 0.8 * cast.steps.front().loss);
  EXPECT_NE(cast.steps.front().loss, plain.steps.front().loss);
  for (std::size_t i = 0; i < plain.steps.size(); ++i) {
    EXPECT_NEAR(cast.steps[i].loss, plain.steps[i].loss, 0.05 * plain.steps[i].loss) << "step " << i + 1;
  }
  expect_equal(cast.parameters, again.parameters);
  for (std::size_t i = 0; i < cast.parameters.size(); ++i) {
    EXPECT_EQ(cast.parameters[i].scalar_type(), at::kFloat);
  }
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

TEST_F(Loop, OneDnnIsExplicitAndRestored) {
  TrainingOptions options = tiny_options(5);
  const TrainingResult mkl = run(options);
  const auto before = at::globalContext().float32MatmulPrecision();
  options.matmul = Matmul::kOneDnn;
  try {
    check_matmul(options.matmul);
  } catch (const Error& error) {
    // A processor on which oneDNN would round the factors: the run itself must refuse as well.
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THROW(run(options), Error);
    return;
  }
  Callbacks callbacks;
  callbacks.measure = [&](std::int64_t, const model::Parameters&) {
    EXPECT_EQ(at::globalContext().float32MatmulPrecision(), before);
  };
  const TrainingResult onednn = run(options, 1, callbacks);
  EXPECT_EQ(at::globalContext().float32MatmulPrecision(), before);
  for (std::size_t i = 0; i < mkl.steps.size(); ++i) EXPECT_NEAR(mkl.steps[i].loss, onednn.steps[i].loss, 1e-3);
}

TEST_F(Loop, MeasuresAsPlannedWithTheCurrentWeights) {
  TrainingOptions options = tiny_options(9);
  options.measure = {.steps = {0, 1, 4}, .every = 0, .epochs = {0.75}};
  std::vector<std::int64_t> steps, shown;
  at::Tensor first, last;
  Callbacks callbacks;
  callbacks.measure = [&](std::int64_t step, const model::Parameters& current) {
    steps.push_back(step);
    EXPECT_FALSE(current[0].requires_grad());
    if (step == 0) first = current[0].clone();
    last = current[0].clone();
  };
  callbacks.progress = [&](std::int64_t step, std::int64_t total) {
    shown.push_back(step);
    EXPECT_EQ(total, 9);
  };
  const TrainingResult result = run(options, 1, callbacks);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{0, 1, 4, 6, 9}));
  EXPECT_EQ(result.measured, steps);
  EXPECT_EQ(plan(options, 32).measured, steps);
  EXPECT_EQ(shown.size(), 9U);
  EXPECT_TRUE(equal_bits(first, entering.parameters[0]));
  EXPECT_TRUE(equal_bits(last, result.parameters[0]));
}

TEST_F(Loop, MeasuringAndEvaluatingChangeNothing) {
  TrainingOptions options = tiny_options(6);
  const TrainingResult plain = run(options);
  options.evaluate_every = 1;
  options.measure.every = 1;
  Callbacks callbacks;
  callbacks.measure = [](std::int64_t, const model::Parameters&) {};
  expect_equal(plain.parameters, run(options, 1, callbacks).parameters);
}

TEST_F(Loop, StopsEarlyAndMeasuresThere) {
  TrainingOptions options = tiny_options(60);
  options.evaluate_every = 5;
  const TrainingResult whole = run(options);
  const double before = whole.evaluations.front().validation_loss;
  options.stopping = {
      .loss = 0, .gain_share = 0.5, .reference_gain = before - whole.evaluations.back().validation_loss, .patience = 0};
  const TrainingResult half = run(options);
  EXPECT_EQ(half.stop, StopReason::kGainShare);
  EXPECT_LT(half.dose.steps, 60);
  EXPECT_EQ(half.dose.steps % 5, 0);
  EXPECT_EQ(half.measured, (std::vector<std::int64_t>{half.dose.steps}));
  EXPECT_EQ(half.steps.back().loss, whole.steps[static_cast<std::size_t>(half.dose.steps) - 1].loss);

  options.stopping = {.loss = before - 0.2};
  EXPECT_EQ(run(options).stop, StopReason::kLoss);
  // So large a rate that no evaluation comes near the first.
  options.schedule = {ScheduleKind::kConstant, 5.0, 0.0};
  options.stopping = {.patience = 2};
  EXPECT_EQ(run(options).stop, StopReason::kPatience);
}

TEST_F(Loop, ValidationBlocksLimitsTheRows) {
  TrainingOptions options = tiny_options(1);
  options.validation_blocks = 2;
  const TrainingResult result = run(options);
  EXPECT_DOUBLE_EQ(result.dose.validation_before.value(),
                   validation_loss(entering.config, entering.parameters, std::span(data.validation).first(2), 4,
                                   options.precision, options.matmul));
}

TEST_F(Loop, WithoutValidationRowsThereIsNoValidationLoss) {
  data.validation.clear();
  TrainingOptions options = tiny_options(2);
  EXPECT_FALSE(run(options).dose.validation_after.has_value());
  options.evaluate_every = 1;
  EXPECT_EQ(error_of(options, all_trainable(entering.parameters)).code(), ErrorCode::kInvalidArgument);
}

TEST_F(Loop, RefusesDecisionsThatTrainNothingOrDoNotFit) {
  std::vector<Decision> decisions(entering.parameters.size(), Decision{.frozen = true, .projections = {}});
  EXPECT_NE(std::string(error_of(tiny_options(1), decisions).what()).find("nothing to train"), std::string::npos);
  decisions.pop_back();
  EXPECT_NE(std::string(error_of(tiny_options(1), decisions).what()).find("expected one each"), std::string::npos);
  decisions = all_trainable(entering.parameters);
  decisions[0] = {.frozen = true, .projections = {{Side::kIn, at::eye(entering.config.hidden)}}};
  EXPECT_NE(std::string(error_of(tiny_options(1), decisions).what()).find("frozen and projected"), std::string::npos);
}

TEST_F(Loop, NumbersThatAreNoneAreAnErrorNamingTheStep) {
  TrainingOptions options = tiny_options(50);
  options.clip_norm = 0;
  options.schedule = {ScheduleKind::kConstant, 1e30, 0.0};
  const Error diverged = error_of(options, all_trainable(entering.parameters));
  EXPECT_EQ(diverged.code(), ErrorCode::kNumeric);
  EXPECT_NE(std::string(diverged.what()).find("step 2"), std::string::npos) << diverged.what();

  data.validation.clear();
  at::Tensor broken = entering.parameters[1].clone();
  broken.view(-1)[0] = std::numeric_limits<float>::quiet_NaN();
  const model::Parameters parameters = entering.parameters.with(entering.parameters.infos()[1].name, broken);
  try {
    train(entering.config, parameters, data, all_trainable(parameters), tiny_options(3), 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNumeric);
    EXPECT_NE(std::string(error.what()).find("step 1"), std::string::npos) << error.what();
  }
}

TEST_F(Loop, IsCancelled) {
  int asked = 0;
  Callbacks callbacks;
  callbacks.cancelled = [&] { return ++asked > 4; };
  try {
    run(tiny_options(50), 1, callbacks);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  EXPECT_EQ(asked, 5);
}

TEST_F(Loop, AnErrorOfACallbackLeavesTorchAsItWas) {
  TrainingOptions options = tiny_options(3);
  options.precision = Precision::kBfloat16Autocast;
  data.train[0].token_ids[0] = 5000;
  EXPECT_EQ(error_of(options, all_trainable(entering.parameters)).code(), ErrorCode::kOutOfRange);
  data.train[0].token_ids[0] = 5;
  Callbacks callbacks;
  callbacks.measure = [](std::int64_t, const model::Parameters&) { fail(ErrorCode::kIo, "the metric failed"); };
  EXPECT_THROW(run(options, 1, callbacks), Error);
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
  EXPECT_TRUE(at::GradMode::is_enabled());
}

}  // namespace
}  // namespace palimpsest::training
