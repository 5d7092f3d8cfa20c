// Ten steps against torch.optim.AdamW through transformers (tests/golden/make_training_golden.py).
#include "model/architectures/registry.hpp"
#include "training/tiny_training.hpp"

namespace palimpsest::training {
namespace {

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

  std::vector<Example> rows(const std::string& prefix) const {
    const at::Tensor ids = at(prefix + "token_ids"), labels = at(prefix + "labels"), lengths = at(prefix + "lengths");
    std::vector<Example> rows;
    for (std::int64_t row = 0; row < ids.size(0); ++row) {
      const auto length = lengths[row].item<std::int64_t>();
      const auto values = [&](const at::Tensor& table) {
        const std::int64_t* begin = table.const_data_ptr<std::int64_t>() + row * table.size(1);
        return std::vector<std::int64_t>(begin, begin + length);
      };
      rows.push_back({values(ids), values(labels)});
    }
    return rows;
  }

 private:
  std::shared_ptr<const model::SafetensorsFile> file_;
};

class TrainingGolden : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Models, TrainingGolden, ::testing::Values("llama_tied", "llama_bfloat16"),
                         [](const auto& test) { return test.param; });

TEST_P(TrainingGolden, LossesNormsRatesAndWeightsEqualTorchOptim) {
  const Dump dump(GetParam());
  const model::Model entering = tiny_model(GetParam());
  const TrainingData data{dump.rows(""), dump.rows("held.")};

  const at::Tensor wanted_order = dump.at("order");
  BatchOrder order(8, 4, 7);
  std::vector<std::int64_t> taken;
  for (std::int64_t step = 1; step <= 10; ++step) {
    const std::vector<std::int64_t> rows = order.step(step);
    taken.insert(taken.end(), rows.begin(), rows.end());
  }
  ASSERT_TRUE(at::tensor(taken, at::kLong).equal(wanted_order.flatten()));

  TrainingOptions options;
  options.adamw = {.weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-6};
  options.schedule = {ScheduleKind::kLinear, 2e-3, 0.2};
  options.batch_size = 4;
  options.max_steps = 10;
  options.clip_norm = 5.0;
  const TrainingResult result =
      train(entering.config, entering.parameters, data, all_trainable(entering.parameters), options, 7);

  const at::Tensor losses = dump.at("losses"), norms = dump.at("norms"), rates = dump.at("rates");
  ASSERT_EQ(result.steps.size(), 10U);
  int clipped = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    const auto at_step = static_cast<std::int64_t>(i);
    const double norm = norms[at_step].item<double>();
    EXPECT_NEAR(result.steps[i].loss, losses[at_step].item<double>(), 1e-5) << "step " << i + 1;
    EXPECT_NEAR(result.steps[i].gradient_norm, norm, 1e-4 * norm) << "step " << i + 1;
    EXPECT_NEAR(result.steps[i].learning_rate, rates[at_step].item<double>(), 1e-9);
    clipped += norm > options.clip_norm ? 1 : 0;
  }
  EXPECT_GT(clipped, 0);
  EXPECT_LT(clipped, 10);
  EXPECT_NEAR(result.dose.validation_before.value(), dump.at("held.before").item<double>(), 1e-5);
  EXPECT_NEAR(result.dose.validation_after.value(), dump.at("held.after").item<double>(), 1e-5);
  const model::Architecture& architecture = model::find_architecture(entering.config.architecture, "test");
  for (std::size_t i = 0; i < result.parameters.size(); ++i) {
    const std::string& name = result.parameters.infos()[i].name;
    const at::Tensor wanted = dump.at("tuned." + model::stored_name(architecture, name).name);
    EXPECT_LT(model::relative_difference(result.parameters[i], wanted), 1e-4) << name;
    EXPECT_GT(model::relative_difference(result.parameters[i], entering.parameters[i]), 1e-4) << name;
  }
}

}  // namespace
}  // namespace palimpsest::training
