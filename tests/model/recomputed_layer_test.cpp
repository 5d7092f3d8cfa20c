// Activation checkpointing: the same values and gradients to the bit, less memory, one more run of each layer.
#include "model/recomputed_layer.hpp"

#include <ATen/autocast_mode.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "model/golden_model.hpp"
#include "model/work.hpp"
#include "support/tensor_memory.hpp"

namespace palimpsest::model {
namespace {

// Of the layers from `first` on, and of what belongs to no layer.
Parameters trained_from(const Parameters& parameters, std::int64_t first) {
  std::vector<at::Tensor> tensors;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::int64_t layer = parameters.infos()[i].layer;
    const bool embedding = parameters.infos()[i].role == ParameterRole::kEmbedding ||
                           parameters.infos()[i].role == ParameterRole::kPositionEmbedding;
    const bool trained = layer < 0 ? !embedding || first == 0 : layer >= first;
    tensors.push_back(parameters[i].clone().requires_grad_(trained));
  }
  return Parameters(parameters.infos(), tensors);
}

struct Passed {
  at::Tensor loss;
  std::vector<at::Tensor> gradients;  // undefined where none came
  Work work;
};

Passed pass(const Model& model, const Parameters& parameters, const Reference& reference, bool recompute) {
  for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].mutable_grad().reset();
  const Work before = work();
  Passed made;
  made.loss = causal_loss(model.config, parameters, reference.at("token_ids"), reference.list("lengths"),
                          reference.at("labels"), {}, recompute);
  made.loss.backward();
  made.work = work() - before;
  for (std::size_t i = 0; i < parameters.size(); ++i) made.gradients.push_back(parameters[i].grad());
  return made;
}

void expect_same(const Passed& plain, const Passed& recomputed, const Parameters& parameters) {
  EXPECT_TRUE(equal_bits(plain.loss.detach(), recomputed.loss.detach()));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::string& name = parameters.infos()[i].name;
    ASSERT_EQ(plain.gradients[i].defined(), recomputed.gradients[i].defined()) << name;
    if (plain.gradients[i].defined()) {
      EXPECT_TRUE(equal_bits(plain.gradients[i], recomputed.gradients[i])) << name;
    }
  }
}

class Recomputed : public ::testing::TestWithParam<std::string> {
 protected:
  std::int64_t tokens() const {
    std::int64_t count = 0;
    for (const std::int64_t length : reference.list("lengths")) count += length;
    return count;
  }
  const Reference reference{GetParam()};
  const Model model = open_model(golden_folder(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Models, Recomputed, ::testing::ValuesIn(golden_names()),
                         [](const auto& test) { return test.param; });

TEST_P(Recomputed, GradientsHaveTheSameBits) {
  const Parameters parameters = trained_from(model.parameters, 0);
  expect_same(pass(model, parameters, reference, false), pass(model, parameters, reference, true), parameters);
}

TEST_P(Recomputed, GradientsHaveTheSameBitsInBfloat16) {
  OpenOptions options;
  options.dtype = at::kBFloat16;
  const Parameters parameters = trained_from(open_model(golden_folder(GetParam()), options).parameters, 0);
  expect_same(pass(model, parameters, reference, false), pass(model, parameters, reference, true), parameters);
}

// Also where the backward pass runs outside of autocast, as it does on a device's own thread.
TEST_P(Recomputed, GradientsHaveTheSameBitsUnderAutocast) {
  const Parameters parameters = trained_from(model.parameters, 0);
  const auto cast_pass = [&](bool recompute, bool cast_backward) {
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].mutable_grad().reset();
    Passed made;
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
    made.loss = causal_loss(model.config, parameters, reference.at("token_ids"), reference.list("lengths"),
                            reference.at("labels"), {}, recompute);
    at::autocast::set_autocast_enabled(at::kCPU, cast_backward);
    made.loss.backward();
    EXPECT_EQ(at::autocast::is_autocast_enabled(at::kCPU), cast_backward);
    EXPECT_TRUE(at::autocast::is_autocast_cache_enabled());
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
    for (std::size_t i = 0; i < parameters.size(); ++i) made.gradients.push_back(parameters[i].grad());
    return made;
  };
  for (const bool cast_backward : {true, false}) {
    const Passed plain = cast_pass(false, cast_backward);
    expect_same(plain, cast_pass(true, cast_backward), parameters);
    EXPECT_FALSE(equal_bits(plain.loss.detach(), pass(model, parameters, reference, false).loss.detach()));
  }
}

TEST_P(Recomputed, RunsEachLayerOnceMoreFromTheLowestTrainedOneOn) {
  const std::int64_t layers = model.config.layers;
  for (std::int64_t first = 0; first <= layers; ++first) {
    const Parameters parameters = trained_from(model.parameters, first);
    const Passed plain = pass(model, parameters, reference, false), again = pass(model, parameters, reference, true);
    expect_same(plain, again, parameters);
    EXPECT_EQ(plain.work.layer_tokens, layers * tokens());
    EXPECT_EQ(plain.work.recomputed_layer_tokens, 0);
    EXPECT_EQ(again.work.recomputed_layer_tokens, (layers - first) * tokens());
    EXPECT_EQ(again.work.layer_tokens, (layers + layers - first) * tokens());
    EXPECT_EQ(again.work.forwards, 1);
    EXPECT_EQ(again.work.head_rows, plain.work.head_rows);
  }
}

// What stands in place of a weight gets its gradient, also by autograd::grad(), which writes into no leaf.
TEST_P(Recomputed, OverridesGetTheirGradients) {
  at::manual_seed(6);
  const auto small = [](const std::vector<std::int64_t>& shape) {
    return (0.1 * at::randn(shape)).requires_grad_(true);
  };
  const at::Tensor& up = model.parameters.at("layers.0.mlp.up.weight");
  const at::Tensor& down = model.parameters.at("layers.1.mlp.down.weight");
  const at::Tensor& query = model.parameters.at("layers.1.attention.query.weight");
  const at::Tensor& embedding = model.parameters.at("embed.weight");
  const at::Tensor mask = at::rand({down.size(1)}) * 2;
  const std::vector<at::Tensor> leaves = {
      small({up.size(0), 2}),   small({up.size(1), 2}), small(query.sizes().vec()),    small({down.size(0), 3}),
      small({down.size(1), 3}), small({down.size(0)}),  small({embedding.size(0), 1}), small({embedding.size(1), 1})};
  const auto made = [&](bool recompute) {
    Overrides overrides;
    overrides["layers.0.mlp.up.weight"].u = leaves[0] * 2.0;  // with a graph of their own, as adapters have
    overrides["layers.0.mlp.up.weight"].v = leaves[1];
    overrides["layers.1.attention.query.weight"].dense = query + leaves[2];
    Override& scaled = overrides["layers.1.mlp.down.weight"];
    scaled.u = leaves[3];
    scaled.v = leaves[4];
    scaled.row_scale = 1.0 + leaves[5];
    scaled.input = [mask](const at::Tensor& x) { return x * mask.to(x.scalar_type()); };
    overrides["embed.weight"].u = leaves[6];
    overrides["embed.weight"].v = leaves[7];
    const at::Tensor loss = causal_loss(model.config, model.parameters, reference.at("token_ids"),
                                        reference.list("lengths"), reference.at("labels"), overrides, recompute);
    return torch::autograd::grad({loss}, leaves);
  };
  const auto plain = made(false), again = made(true);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    EXPECT_GT(plain[i].norm().item<double>(), 0) << i;
    EXPECT_TRUE(equal_bits(plain[i], again[i])) << i;
  }
}

// A layer whose sites are looked at, and passes with a cache, keep what they always kept.
TEST_P(Recomputed, SitesAndCachesAreLeftAlone) {
  const Parameters parameters = trained_from(model.parameters, 0);
  const std::int64_t layers = model.config.layers;
  const auto gradient = [&](bool recompute, bool cache) {
    ForwardRequest request = whole_request(reference);
    request.capture = {{SitePoint::kMlpKey, 1}};
    Replacement replacement;
    replacement.site = {SitePoint::kAttentionOut, 1};
    replacement.callback = [](const at::Tensor& x) { return x * 0.5; };
    request.replace = {replacement};
    request.return_cache = cache;
    request.recompute_layers = recompute;
    const ForwardResult result = forward(model.config, parameters, request);
    const at::Tensor loss = result.logits.square().mean() + result.captured[0].square().mean();
    return torch::autograd::grad({loss}, {parameters.at("layers.0.mlp.up.weight")})[0];
  };
  for (const bool cache : {false, true}) {
    const at::Tensor plain = gradient(false, cache);
    const Work before = work();
    EXPECT_TRUE(equal_bits(plain, gradient(true, cache)));
    EXPECT_EQ((work() - before).recomputed_layer_tokens, cache ? 0 : (layers - 1) * tokens());
  }
}

TEST_P(Recomputed, WithoutGradModeNothingIsKeptOrRunAgain) {
  const Parameters parameters = trained_from(model.parameters, 0);
  ForwardRequest request = whole_request(reference);
  const c10::NoGradGuard no_grad;
  const Work before = work();
  const at::Tensor plain = forward(model.config, parameters, request).logits;
  request.recompute_layers = true;
  EXPECT_TRUE(equal_bits(plain, forward(model.config, parameters, request).logits));
  EXPECT_EQ((work() - before).layer_tokens, 2 * model.config.layers * tokens());
}

// Two passes of one loss over the same weights.
TEST_P(Recomputed, ALossMayPassSeveralTimes) {
  const Parameters parameters = trained_from(model.parameters, 0);
  const auto gradients = [&](bool recompute) {
    const auto loss = [&](std::int64_t row) {
      const at::Tensor ids = reference.at("token_ids").narrow(0, row, 1);
      return causal_loss(model.config, parameters, ids, {5}, ids.clone(), {}, recompute);
    };
    std::vector<at::Tensor> wanted;
    for (std::size_t i = 0; i < parameters.size(); ++i) wanted.push_back(parameters[i]);
    return torch::autograd::grad({loss(0) - 0.5 * loss(1)}, wanted, {}, std::nullopt, false, true);
  };
  const auto plain = gradients(false), again = gradients(true);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    ASSERT_EQ(plain[i].defined(), again[i].defined());
    if (plain[i].defined()) {
      EXPECT_TRUE(equal_bits(plain[i], again[i])) << parameters.infos()[i].name;
    }
  }
}

// One more layer costs its input, and nothing else that a layer computes.
TEST(RecomputedLayer, AutogradKeepsTheInputAlone) {
  const Model model = open_model(golden_folder("llama_tied"));
  const Parameters parameters = trained_from(model.parameters, 0);
  const std::int64_t rows = 16, tokens = 16, layers = model.config.layers;
  ASSERT_GE(layers, 3);
  ForwardRequest request;
  request.token_ids = at::arange(rows * tokens, at::kLong).remainder(50).view({rows, tokens});
  const auto kept = [&](std::int64_t last_layer, bool recompute) {
    request.last_layer = last_layer;
    request.recompute_layers = recompute;
    const TensorMemory memory;
    const ForwardResult result = forward(model.config, parameters, request);
    EXPECT_TRUE(result.hidden.requires_grad());
    return memory.live();
  };
  const std::int64_t input = rows * tokens * model.config.hidden * static_cast<std::int64_t>(sizeof(float));
  for (std::int64_t layer = 1; layer < layers; ++layer) {
    EXPECT_EQ(kept(layer, true) - kept(layer - 1, true), input);
    EXPECT_GT(kept(layer, false) - kept(layer - 1, false), 10 * input);
  }
  const auto most = [&](bool recompute) {
    const TensorMemory memory;
    causal_loss(model.config, parameters, request.token_ids, {}, request.token_ids.clone(), {}, recompute).backward();
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].mutable_grad().reset();
    return memory.most();
  };
  EXPECT_LT(most(true), most(false) - (layers - 2) * 10 * input);
}

TEST(RecomputedLayer, AWeightWrittenBeforeItsBackwardPassIsRefused) {
  const Model model = open_model(golden_folder("llama_tied"));
  const Parameters parameters = trained_from(model.parameters, 0);
  const at::Tensor ids = at::arange(12, at::kLong).unsqueeze(0);
  const at::Tensor loss = causal_loss(model.config, parameters, ids, {}, ids.clone(), {}, true);
  {
    const c10::NoGradGuard no_grad;
    parameters.at("layers.1.mlp.up.weight").mul_(2.0);
  }
  EXPECT_THROW(loss.backward(), c10::Error);
}

}  // namespace
}  // namespace palimpsest::model
