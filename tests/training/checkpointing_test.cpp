// Activation checkpointing in the loop: whatever is trained, in whatever arithmetic, a run gives the same bits with it.
#include "model/work.hpp"
#include "support/tensor_memory.hpp"
#include "training/tiny_training.hpp"

namespace palimpsest::training {
namespace {

using model::equal_bits;

struct Case {
  const char* name;
  TuningMethod method = TuningMethod::kFull;
  double dropout = 0;
  Precision precision = Precision::kFloat32;
  at::ScalarType dtype = at::kFloat;
  Masters masters = Masters::kFloat32;
};

class Checkpointing : public ::testing::TestWithParam<Case> {
 protected:
  TrainingOptions options(bool checkpointing) const {
    TrainingOptions made = tiny_options(4);
    made.accumulation = 2;
    made.evaluate_every = 2;
    made.tuning = {GetParam().method, 3, 5.0, GetParam().dropout, parse_targets({"attention_query", "mlp_down"})};
    made.precision = GetParam().precision;
    made.masters = GetParam().masters;
    made.activation_checkpointing = checkpointing;
    return made;
  }
  TrainingResult run(bool checkpointing, const RowLoss& loss = {}) const {
    return train(entering.config, entering.parameters, {data.train, data.validation, loss},
                 all_trainable(entering.parameters), options(checkpointing), 1);
  }

  const model::Model entering = model::open_model(model::golden_folder("llama_tied"), {.dtype = GetParam().dtype});
  const TrainingData data{tiny_rows(32, 16, 1), tiny_rows(6, 16, 2)};
};

INSTANTIATE_TEST_SUITE_P(
    Ways, Checkpointing,
    ::testing::Values(Case{.name = "full"}, Case{.name = "lora", .method = TuningMethod::kLora},
                      Case{.name = "lora_dropout", .method = TuningMethod::kLora, .dropout = 0.3},
                      Case{.name = "dora_dropout", .method = TuningMethod::kDora, .dropout = 0.3},
                      Case{.name = "autocast", .precision = Precision::kBfloat16Autocast},
                      Case{.name = "dora_dropout_autocast",
                           .method = TuningMethod::kDora,
                           .dropout = 0.3,
                           .precision = Precision::kBfloat16Autocast},
                      Case{.name = "bfloat16", .dtype = at::kBFloat16},
                      Case{.name = "bfloat16_without_masters", .dtype = at::kBFloat16, .masters = Masters::kNone}),
    [](const auto& test) { return std::string(test.param.name); });

void expect_same(const TrainingResult& a, const TrainingResult& b) {
  for (std::size_t i = 0; i < a.parameters.size(); ++i) {
    EXPECT_TRUE(equal_bits(a.parameters[i], b.parameters[i])) << a.parameters.infos()[i].name;
  }
  ASSERT_EQ(a.steps.size(), b.steps.size());
  for (std::size_t i = 0; i < a.steps.size(); ++i) {
    EXPECT_EQ(a.steps[i].loss, b.steps[i].loss) << "step " << i + 1;
    EXPECT_EQ(a.steps[i].gradient_norm, b.steps[i].gradient_norm) << "step " << i + 1;
  }
}

TEST_P(Checkpointing, GivesTheSameBitsForOneMoreForwardPass) {
  const model::Work start = model::work();
  const TrainingResult plain = run(false);
  const model::Work middle = model::work();
  const TrainingResult checkpointed = run(true);
  const model::Work without = middle - start, with = model::work() - middle;
  expect_same(plain, checkpointed);
  // Four steps of two passes of four rows of 16 tokens. Evaluations run nothing twice.
  const std::int64_t trained = 4 * 2 * 4 * 16 * entering.config.layers;
  EXPECT_EQ(with.recomputed_layer_tokens, trained);
  EXPECT_EQ(with.layer_tokens, without.layer_tokens + trained);
  EXPECT_EQ(with.forwards, without.forwards);
  EXPECT_EQ(without.recomputed_layer_tokens, 0);
}

// A loss of the task's own asks the model for it, and sees the same weights and adapters.
TEST_P(Checkpointing, GivesTheSameBitsToALossOfTheTasksOwn) {
  const auto loss = [this](bool recompute) {
    return [this, recompute](const model::Parameters& weights, const model::Overrides& adapters, bool validation,
                             std::span<const std::int64_t> rows) {
      const Batch batch = make_batch(validation ? data.validation : data.train, rows);
      model::ForwardRequest request;
      request.token_ids = batch.token_ids;
      request.overrides = adapters;
      request.recompute_layers = recompute;
      for (std::size_t row = 0; row < rows.size(); ++row) {
        for (std::int64_t t = 0; t + 1 < 16; ++t) {
          const auto r = static_cast<std::int64_t>(row);
          request.logprobs.push_back({r, t, batch.token_ids[r][t + 1].item<std::int64_t>()});
        }
      }
      return model::forward(entering.config, weights, request).logprobs.mean().neg();
    };
  };
  expect_same(run(false, loss(false)), run(false, loss(true)));
}

TEST(CheckpointingMemory, ARunHoldsLess) {
  const model::Model entering = tiny_model();
  const auto most = [&](bool checkpointing) {
    TrainingOptions options = tiny_options(2);
    options.batch_size = 16;
    options.activation_checkpointing = checkpointing;
    const TensorMemory memory;
    train(entering.config, entering.parameters, {tiny_rows(32, 64, 1), {}}, all_trainable(entering.parameters), options,
          1);
    return memory.most();
  };
  const std::int64_t stream = 16 * 64 * entering.config.hidden * static_cast<std::int64_t>(sizeof(float));
  EXPECT_LT(most(true), most(false) - (entering.config.layers - 2) * 10 * stream);
}

}  // namespace
}  // namespace palimpsest::training
