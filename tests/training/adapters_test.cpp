// LoRA and DoRA against PEFT (tests/golden/make_adapter_golden.py), and through the loop.
#include "training/adapters.hpp"

#include <c10/core/GradMode.h>

#include <cmath>
#include <set>

#include "base/error.hpp"
#include "model/architectures/registry.hpp"
#include "training/tiny_training.hpp"

namespace palimpsest::training {
namespace {

using model::equal_bits;
using model::relative_difference;

// What the issue allows.
constexpr double kTolerance = 1e-5;

class Dump {
 public:
  explicit Dump(const std::string& name)
      : file_(model::SafetensorsFile::open(std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "training" /
                                           (name + ".safetensors"))) {}
  at::Tensor at(const std::string& name) const {
    const model::TensorView* view = file_->find(name);
    if (view == nullptr) throw std::runtime_error("the dump has no " + name);
    at::Tensor tensor = at::empty(view->shape, view->dtype == model::DType::kInt64 ? at::kLong : at::kFloat);
    std::memcpy(tensor.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
    return tensor;
  }

 private:
  std::shared_ptr<const model::SafetensorsFile> file_;
};

TuningOptions tuning(TuningMethod method) {
  return {method, 3, 5.0, 0, parse_targets({"attention_query", "attention_value", "mlp_gate", "mlp_down"})};
}

class AdapterGolden : public ::testing::TestWithParam<TuningMethod> {};
INSTANTIATE_TEST_SUITE_P(Methods, AdapterGolden, ::testing::Values(TuningMethod::kLora, TuningMethod::kDora),
                         [](const auto& test) { return std::string(name_of(test.param)); });

// "layers.0.mlp.down.weight: A" -> "A.model.layers.0.mlp.down_proj.weight".
std::string peft_name(const model::Model& entering, const std::string& name) {
  const std::size_t colon = name.find(':');
  const model::Architecture& architecture = model::find_architecture(entering.config.architecture, "test");
  return name.substr(colon + 2) + "." + model::stored_name(architecture, name.substr(0, colon)).name;
}

TEST_P(AdapterGolden, ForwardGradientsStepsAndMergedWeightsEqualPeft) {
  const Dump dump{std::string(name_of(GetParam()))};
  const model::Model entering = tiny_model();
  Adapters adapters(entering.parameters, all_trainable(entering.parameters), tuning(GetParam()), 1);
  ASSERT_EQ(adapters.trained().size(), 3U * 4U * (GetParam() == TuningMethod::kDora ? 3U : 2U));
  {
    const c10::NoGradGuard no_grad;
    for (std::size_t i = 0; i < adapters.trained().size(); ++i) {
      const std::string name = peft_name(entering, adapters.names()[i]);
      // Where the magnitude starts is PEFT's choice and ours; the rest is given.
      if (name.front() == 'm') {
        EXPECT_LT(relative_difference(adapters.trained()[i], dump.at("start." + name)), kTolerance) << name;
      } else {
        adapters.trained()[i].copy_(dump.at("start." + name));
      }
    }
  }
  adapters.stepped();

  model::ForwardRequest request;
  request.token_ids = dump.at("token_ids");
  const at::Tensor lengths = dump.at("lengths");
  for (std::int64_t row = 0; row < lengths.size(0); ++row) {
    request.lengths.push_back(lengths[row].item<std::int64_t>());
    for (std::int64_t t = 0; t < request.lengths.back(); ++t) request.logits.push_back({row, t});
  }
  request.overrides = adapters.overrides();
  const at::Tensor logits = model::forward(entering, request).logits.detach();
  EXPECT_LT(relative_difference(logits, dump.at("logits")), kTolerance);

  AdamW optimizer(adapters.trained(), {.weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-6});
  const at::Tensor losses = dump.at("losses");
  for (std::int64_t step = 0; step < losses.size(0); ++step) {
    const at::Tensor loss = model::causal_loss(entering.config, entering.parameters, request.token_ids, request.lengths,
                                               dump.at("labels"), adapters.overrides());
    EXPECT_NEAR(loss.item<double>(), losses[step].item<double>(), kTolerance) << "step " << step + 1;
    loss.backward();
    for (std::size_t i = 0; step == 0 && i < adapters.trained().size(); ++i) {
      const std::string name = peft_name(entering, adapters.names()[i]);
      EXPECT_LT(relative_difference(adapters.trained()[i].grad(), dump.at("gradient." + name)), kTolerance) << name;
    }
    optimizer.step(1e-2);
    optimizer.clear_gradients();
    adapters.stepped();
  }
  for (std::size_t i = 0; i < adapters.trained().size(); ++i) {
    const std::string name = peft_name(entering, adapters.names()[i]);
    EXPECT_LT(relative_difference(adapters.trained()[i].detach(), dump.at("end." + name)), kTolerance) << name;
    EXPECT_GT(relative_difference(dump.at("end." + name), dump.at("start." + name)), 1e-3) << name;
  }
  const model::Parameters merged = adapters.merged();
  const model::Architecture& architecture = model::find_architecture(entering.config.architecture, "test");
  for (const std::size_t place : adapted(entering.parameters, all_trainable(entering.parameters), tuning(GetParam()))) {
    const std::string& name = merged.infos()[place].name;
    const at::Tensor wanted = dump.at("merged." + model::stored_name(architecture, name).name);
    EXPECT_LT(relative_difference(merged[place], wanted), kTolerance) << name;
    EXPECT_GT(relative_difference(merged[place], entering.parameters[place]), 1e-2) << name;
  }
}

// What is measured is what is trained: the merged weights give the logits of the adapted ones.
TEST_P(AdapterGolden, MergedWeightsComputeTheSame) {
  const Dump dump{std::string(name_of(GetParam()))};
  const model::Model entering = tiny_model("llama_rope3");
  Adapters adapters(entering.parameters, all_trainable(entering.parameters), tuning(GetParam()), 1);
  {
    const c10::NoGradGuard no_grad;
    at::manual_seed(8);
    for (const at::Tensor& leaf : adapters.trained()) leaf.add_(0.1 * at::randn_like(leaf));
  }
  adapters.stepped();
  model::ForwardRequest request;
  request.token_ids = dump.at("token_ids");
  for (std::int64_t t = 0; t < 12; ++t) request.logits.push_back({0, t});
  request.overrides = adapters.overrides();
  const at::Tensor adapted_logits = model::forward(entering, request).logits.detach();
  request.overrides.clear();
  const at::Tensor plain = model::forward(entering, request).logits;
  const at::Tensor merged = model::forward(entering.config, adapters.merged(), request).logits;
  EXPECT_LT(relative_difference(merged, adapted_logits), kTolerance);
  EXPECT_GT(relative_difference(merged, plain), 1e-2);
}

class AdapterLoop : public ::testing::TestWithParam<TuningMethod> {
 protected:
  TrainingResult run(std::int64_t steps, double dropout = 0, const Callbacks& callbacks = {},
                     std::uint64_t seed = 1) const {
    TrainingOptions options = tiny_options(steps);
    options.tuning = tuning(GetParam());
    options.tuning.dropout = dropout;
    options.measure.steps = {1, 2, 3};
    return train(entering.config, entering.parameters, data, all_trainable(entering.parameters), options, seed,
                 callbacks);
  }
  const model::Model entering = tiny_model();
  TrainingData data{tiny_rows(32, 16, 1), tiny_rows(6, 16, 2)};
};
INSTANTIATE_TEST_SUITE_P(Methods, AdapterLoop, ::testing::Values(TuningMethod::kLora, TuningMethod::kDora),
                         [](const auto& test) { return std::string(name_of(test.param)); });

void expect_equal(const model::Parameters& a, const model::Parameters& b) {
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(equal_bits(a[i], b[i])) << a.infos()[i].name;
}

TEST_P(AdapterLoop, LearnsAndChangesItsTargetsOnly) {
  std::vector<at::Tensor> before;
  for (std::size_t i = 0; i < entering.parameters.size(); ++i) before.push_back(entering.parameters[i].clone());
  const TrainingResult result = run(40);
  EXPECT_LT(result.steps.back().loss, 0.9 * result.steps.front().loss);
  EXPECT_LT(*result.dose.validation_after, *result.dose.validation_before);
  const auto places = adapted(entering.parameters, all_trainable(entering.parameters), tuning(GetParam()));
  const std::set<std::size_t> targets(places.begin(), places.end());
  std::int64_t numbers = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::string& name = entering.parameters.infos()[i].name;
    EXPECT_TRUE(equal_bits(entering.parameters[i], before[i])) << name;
    EXPECT_EQ(result.parameters[i].is_same(entering.parameters[i]), !targets.contains(i)) << name;
    // The dose is that of the merged weights.
    const at::Tensor wide = before[i].to(at::kDouble);
    const double moved = (result.parameters[i].to(at::kDouble) - wide).norm().item<double>();
    EXPECT_NEAR(result.dose.parameters[i], moved / wide.norm().item<double>(), 1e-5) << name;
    EXPECT_EQ(result.dose.parameters[i] > 0, targets.contains(i)) << name;
    if (!targets.contains(i)) continue;
    const std::int64_t magnitudes = GetParam() == TuningMethod::kDora ? wide.size(0) : 0;
    numbers += 3 * (wide.size(0) + wide.size(1)) + magnitudes;
  }
  EXPECT_EQ(result.dose.trained, numbers);
}

TEST_P(AdapterLoop, StartsAtTheEnteringWeights) {
  const Adapters adapters(entering.parameters, all_trainable(entering.parameters), tuning(GetParam()), 1);
  const model::Parameters merged = adapters.merged();
  for (std::size_t i = 0; i < merged.size(); ++i) {
    EXPECT_LT(model::max_difference(merged[i], entering.parameters[i]), 1e-6) << merged.infos()[i].name;
  }
  // A is uniform between -1 / sqrt(in) and 1 / sqrt(in), from a stream of its own for every matrix; B is 0.
  std::set<float> first;
  for (std::size_t i = 0; i < adapters.trained().size(); ++i) {
    const at::Tensor values = adapters.trained()[i].detach();
    if (adapters.names()[i].ends_with(": B")) {
      EXPECT_EQ(values.abs().max().item<float>(), 0.0F);
    }
    if (!adapters.names()[i].ends_with(": A")) continue;
    const double bound = 1 / std::sqrt(static_cast<double>(values.size(1)));
    EXPECT_LE(values.abs().max().item<double>(), bound);
    EXPECT_GT(values.abs().max().item<double>(), 0.9 * bound);
    EXPECT_NEAR(values.to(at::kDouble).square().mean().item<double>(), bound * bound / 3, 0.15 * bound * bound);
    EXPECT_TRUE(first.insert(values[0][0].item<float>()).second);
  }
}

// Measuring merges into copies: training goes on from untouched bytes.
TEST_P(AdapterLoop, MeasuringChangesNothing) {
  const TrainingResult plain = run(6);
  std::vector<at::Tensor> shown;
  Callbacks callbacks;
  callbacks.measure = [&](std::int64_t, const model::Parameters& current) {
    // Whatever a measurement did to its copy would not reach the run.
    const c10::NoGradGuard no_grad;
    const at::Tensor& down = current.at("layers.1.mlp.down.weight");
    shown.push_back(down.clone());
    down.zero_();
  };
  const TrainingResult measured = run(6, 0, callbacks);
  ASSERT_EQ(shown.size(), 4U);
  EXPECT_FALSE(equal_bits(shown[0], shown[1]));
  for (std::size_t i = 0; i < plain.steps.size(); ++i) EXPECT_EQ(measured.steps[i].loss, plain.steps[i].loss);
  EXPECT_TRUE(equal_bits(shown.back(), plain.parameters.at("layers.1.mlp.down.weight")));
}

TEST_P(AdapterLoop, SameSeedSameBitsWithDropoutToo) {
  const TrainingResult a = run(5, 0.3), b = run(5, 0.3), plain = run(5), other = run(5, 0, {}, 2);
  expect_equal(a.parameters, b.parameters);
  EXPECT_NE(a.steps[1].loss, plain.steps[1].loss);
  EXPECT_NE(plain.steps.front().loss, other.steps.front().loss);
}

TEST_P(AdapterLoop, BothPrecisionsLearn) {
  TrainingOptions options = tiny_options(20);
  options.tuning = tuning(GetParam());
  options.precision = Precision::kBfloat16Autocast;
  const TrainingResult cast =
      train(entering.config, entering.parameters, data, all_trainable(entering.parameters), options, 1);
  const TrainingResult plain = run(20);
  for (std::size_t i = 0; i < plain.steps.size(); ++i) {
    EXPECT_NEAR(cast.steps[i].loss, plain.steps[i].loss, 0.05 * plain.steps[i].loss) << "step " << i + 1;
  }
  EXPECT_EQ(cast.parameters.at("layers.1.mlp.down.weight").scalar_type(), at::kFloat);
}

// Dropout's mean is the whole: many draws average to the adapter without dropout. PEFT's form: what the change reads is
// dropped, what W reads is not.
TEST(Adapters, DropoutActsOnWhatTheChangeReads) {
  const model::Model entering = tiny_model();
  for (const TuningMethod method : {TuningMethod::kLora, TuningMethod::kDora}) {
    TuningOptions options = tuning(method);
    options.targets = parse_targets({"mlp_down"});
    options.dropout = 0.5;
    Adapters adapters(entering.parameters, all_trainable(entering.parameters), options, 4);
    const c10::NoGradGuard no_grad;
    at::manual_seed(9);
    for (const at::Tensor& leaf : adapters.trained()) leaf.add_(0.2 * at::randn_like(leaf));
    adapters.stepped();
    const std::string name = "layers.0.mlp.down.weight";
    const at::Tensor& w = entering.parameters.at(name);
    const model::Override change = adapters.overrides().at(name);
    model::ForwardRequest request;
    request.token_ids = at::arange(5, 13, at::kLong).unsqueeze(0);
    request.last_layer = 0;
    request.capture = {model::parse_site("layers.0.mlp.key", entering.config),
                       model::parse_site("layers.0.mlp.value", entering.config)};
    at::Tensor dropped;
    request.overrides = {{name, change}};
    request.overrides.at(name).input = [&](const at::Tensor& x) { return dropped = change.input(x); };
    const model::ForwardResult result = model::forward(entering, request);
    const at::Tensor x = result.captured[0].squeeze(0), y = result.captured[1].squeeze(0);
    const at::Tensor share = (dropped == 0).to(at::kDouble).mean();
    EXPECT_NEAR(share.item<double>(), 0.5, 0.1);
    EXPECT_LT(model::max_difference(at::where(dropped == 0, x * 2, dropped), x * 2), 1e-6);
    const at::Tensor scale = method == TuningMethod::kDora ? change.row_scale : at::ones({w.size(0)});
    const at::Tensor wanted = at::linear(x, w) + (scale - 1) * at::linear(dropped, w) +
                              scale * at::linear(dropped, at::mm(change.u, change.v.t()));
    EXPECT_LT(relative_difference(y, wanted), kTolerance);
  }
}

TEST(Adapters, RefuseWhatCannotWork) {
  const model::Model entering = tiny_model();
  const auto message = [&](const TuningOptions& options, const std::vector<Decision>& decisions) {
    try {
      Adapters(entering.parameters, decisions, options, 1);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  std::vector<Decision> decisions = all_trainable(entering.parameters);
  TuningOptions options = tuning(TuningMethod::kLora);
  options.targets = parse_targets({"mlp_down"});
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    decisions[i].frozen = entering.parameters.infos()[i].role == model::ParameterRole::kMlpDown;
  }
  EXPECT_TRUE(contains(message(options, decisions), "the freeze policy freezes all of them"));
  options.rank = 0;
  EXPECT_TRUE(contains(message(options, decisions), "rank of at least 1"));
  options.rank = 2;
  const std::size_t down = entering.parameters.index("layers.2.mlp.down.weight");
  decisions[down] = {.frozen = false, .projections = {{Side::kOut, at::eye(32).narrow(1, 0, 2)}}};
  const std::string projected = message(options, decisions);
  EXPECT_TRUE(contains(projected, "layers.2.mlp.down.weight")) << projected;
  EXPECT_TRUE(contains(projected, "Leave mlp_down out")) << projected;
  EXPECT_THROW(parse_targets({"embedding"}), Error);
  EXPECT_THROW(parse_targets({"mlp_dwon"}), Error);
  EXPECT_THROW(parse_tuning_method("qlora"), Error);
}

}  // namespace
}  // namespace palimpsest::training
