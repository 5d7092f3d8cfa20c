// Every choice that a Config can describe, against a plain decoder: one row at a time, no cache, softmax written out.
// The families that the registry offers are checked against transformers; this covers what later ones will combine.

#include <cmath>
#include <numbers>

#include "base/error.hpp"
#include "model/decoder.hpp"
#include "model/golden_model.hpp"

namespace palimpsest::model {
namespace {

at::Tensor plain_norm(const Config& config, const Parameters& weights, const std::string& stem, const at::Tensor& x) {
  const at::Tensor& weight = weights.at(stem + ".weight");
  if (config.norm == NormKind::kRms) return weight * x / (x.square().mean(-1, true) + config.norm_eps).sqrt();
  const at::Tensor centred = x - x.mean(-1, true);
  const at::Tensor y = weight * centred / (centred.square().mean(-1, true) + config.norm_eps).sqrt();
  const at::Tensor* bias = weights.find(stem + ".bias");
  return bias == nullptr ? y : y + *bias;
}

at::Tensor plain_linear(const Parameters& weights, const std::string& stem, const at::Tensor& x) {
  const at::Tensor y = x.matmul(weights.at(stem + ".weight").t());
  const at::Tensor* bias = weights.find(stem + ".bias");
  return bias == nullptr ? y : y + *bias;
}

// Turns the pairs of a head's coordinates one by one. x [tokens, heads, head_dim] float64.
at::Tensor plain_rotation(const RotaryConfig& rotary, const at::Tensor& x) {
  at::Tensor y = x.clone();
  const auto turning = static_cast<std::int64_t>(static_cast<double>(x.size(2)) * rotary.fraction);
  for (std::int64_t token = 0; token < x.size(0); ++token) {
    for (std::int64_t pair = 0; pair < turning / 2; ++pair) {
      const bool half = rotary.layout == RotaryLayout::kHalf;
      const std::int64_t i = half ? pair : 2 * pair, j = half ? pair + turning / 2 : 2 * pair + 1;
      const double angle = static_cast<double>(token) / rotary.factor *
                           std::pow(rotary.theta, -2.0 * static_cast<double>(pair) / static_cast<double>(turning));
      const at::Tensor a = x.select(0, token).select(1, i), b = x.select(0, token).select(1, j);
      y.select(0, token).select(1, i).copy_(a * std::cos(angle) - b * std::sin(angle));
      y.select(0, token).select(1, j).copy_(b * std::cos(angle) + a * std::sin(angle));
    }
  }
  return y;
}

at::Tensor plain_attention(const Config& config, const Parameters& weights, const std::string& stem,
                           const at::Tensor& x) {
  const std::int64_t tokens = x.size(0), width = config.head_dim;
  at::Tensor query = plain_linear(weights, stem + "query", x).view({tokens, config.heads, width});
  at::Tensor key = plain_linear(weights, stem + "key", x).view({tokens, config.kv_heads, width});
  const at::Tensor value = plain_linear(weights, stem + "value", x).view({tokens, config.kv_heads, width});
  if (config.qk_norm) {
    query = plain_norm(config, weights, stem + "query_norm", query);
    key = plain_norm(config, weights, stem + "key_norm", key);
  }
  if (config.positions == PositionScheme::kRotary) {
    query = plain_rotation(config.rotary, query);
    key = plain_rotation(config.rotary, key);
  }
  std::vector<at::Tensor> outputs;
  for (std::int64_t head = 0; head < config.heads; ++head) {
    const std::int64_t group = head / (config.heads / config.kv_heads);
    at::Tensor scores = query.select(1, head).matmul(key.select(1, group).t()) / std::sqrt(static_cast<double>(width));
    scores = scores + at::full({tokens, tokens}, -1e30, at::kDouble).triu(1);
    outputs.push_back(at::softmax(scores, 1).matmul(value.select(1, group)));
  }
  return plain_linear(weights, stem + "out", at::cat(outputs, 1));
}

at::Tensor plain_activation(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::kSilu: return x * at::sigmoid(x);
    case Activation::kGelu: return 0.5 * x * (1 + at::erf(x / std::sqrt(2.0)));
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + at::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x.pow(3))));
    case Activation::kRelu: return x.clamp_min(0);
  }
  return at::Tensor();
}

at::Tensor plain_mlp(const Config& config, const Parameters& weights, const std::string& stem, const at::Tensor& x) {
  const at::Tensor up = plain_linear(weights, stem + "up", x);
  const at::Tensor key = config.gated_mlp
                             ? plain_activation(config.activation, plain_linear(weights, stem + "gate", x)) * up
                             : plain_activation(config.activation, up);
  return plain_linear(weights, stem + "down", key);
}

at::Tensor plain_logits(const Config& config, const Parameters& weights, const at::Tensor& ids) {
  at::Tensor x = weights.at("embed.weight").index_select(0, ids);
  if (config.positions == PositionScheme::kLearned) x = x + weights.at("positions.weight").narrow(0, 0, ids.size(0));
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string stem = cat("layers.", layer, ".");
    const at::Tensor normed = plain_norm(config, weights, stem + "attention_norm", x);
    const at::Tensor mixed = plain_attention(config, weights, stem + "attention.", normed);
    if (config.parallel_block) {
      const at::Tensor read = config.mlp_norm ? plain_norm(config, weights, stem + "mlp_norm", x) : normed;
      x = x + mixed + plain_mlp(config, weights, stem + "mlp.", read);
    } else {
      x = x + mixed;
      x = x + plain_mlp(config, weights, stem + "mlp.", plain_norm(config, weights, stem + "mlp_norm", x));
    }
  }
  const at::Tensor last = plain_norm(config, weights, "final_norm", x);
  const at::Tensor logits = last.matmul(weights.at(config.tied_head ? "embed.weight" : "head.weight").t());
  return config.head_bias ? logits + weights.at("head.bias") : logits;
}

Config small() {
  Config config;
  config.layers = 2;
  config.hidden = 24;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.mlp_width = 20;
  config.vocabulary = 50;
  config.max_positions = 16;
  return config;
}

struct Described {
  std::string name;
  Config config;
};

std::vector<Described> descriptions() {
  Config learned = small();
  learned.norm = NormKind::kLayer;
  learned.norm_bias = learned.qkv_bias = learned.attention_out_bias = learned.mlp_bias = true;
  learned.positions = PositionScheme::kLearned;
  learned.activation = Activation::kGeluTanh;
  learned.gated_mlp = false;
  learned.tied_head = true;
  learned.kv_heads = 4;
  Config parallel = small();
  parallel.norm = NormKind::kLayer;
  parallel.norm_bias = true;
  parallel.parallel_block = true;
  parallel.mlp_norm = false;
  parallel.head_bias = true;
  parallel.rotary.fraction = 0.5;
  parallel.rotary.layout = RotaryLayout::kInterleaved;
  parallel.activation = Activation::kGelu;
  parallel.gated_mlp = false;
  Config two_norms = parallel;
  two_norms.mlp_norm = true;
  two_norms.tied_head = true;
  two_norms.rotary.layout = RotaryLayout::kHalf;
  Config query_norm = small();
  query_norm.qk_norm = true;
  query_norm.qkv_bias = true;
  query_norm.rotary.scaling = RotaryScaling::kLinear;
  query_norm.rotary.factor = 4;
  query_norm.rotary.fraction = 0.5;
  query_norm.kv_heads = 1;
  Config relu = small();
  relu.activation = Activation::kRelu;
  relu.rotary.layout = RotaryLayout::kInterleaved;
  relu.rotary.theta = 100;
  return {{"learned_positions", learned},
          {"parallel_block", parallel},
          {"two_norms", two_norms},
          {"query_norm", query_norm},
          {"relu", relu}};
}

class Description : public ::testing::TestWithParam<Described> {};

INSTANTIATE_TEST_SUITE_P(Models, Description, ::testing::ValuesIn(descriptions()),
                         [](const auto& test) { return test.param.name; });

TEST_P(Description, EqualsThePlainDecoder) {
  const Config& config = GetParam().config;
  at::manual_seed(9);
  std::vector<at::Tensor> tensors;
  for (const ParameterInfo& info : parameter_infos(config)) {
    const bool scale = info.shape.size() == 1 && !info.bias;
    tensors.push_back(0.4 * at::randn(info.shape, at::kDouble) + (scale ? 1.0 : 0.0));
  }
  const Parameters exact(parameter_infos(config), tensors);
  const at::Tensor ids = at::randint(0, 50, {2, 9}, at::kLong);
  ForwardRequest request;
  request.token_ids = ids;
  request.lengths = {9, 5};
  for (std::int64_t t = 0; t < 9; ++t) request.logits.push_back({0, t});
  for (std::int64_t t = 0; t < 5; ++t) request.logits.push_back({1, t});
  const at::Tensor wanted =
      at::cat({plain_logits(config, exact, ids[0]), plain_logits(config, exact, ids[1].narrow(0, 0, 5))});
  // float32 angles are the largest difference in float64.
  EXPECT_LT(max_difference(forward(config, exact, request).logits, wanted), 1e-5);
  const Parameters single = exact.to(at::kFloat, at::kCPU);
  EXPECT_LT(max_difference(forward(config, single, request).logits, wanted), 1e-4);

  // And continued from a cache, where learned positions and rotations must count on.
  ForwardRequest prefix;
  prefix.token_ids = ids.narrow(1, 0, 4);
  prefix.lengths = {4, 2};
  prefix.return_cache = true;
  const Cache cache = forward(config, single, prefix).cache;
  ForwardRequest suffix;
  suffix.token_ids = at::zeros({2, 5}, at::kLong);
  suffix.token_ids[0].copy_(ids[0].narrow(0, 4, 5));
  suffix.token_ids[1].narrow(0, 0, 3).copy_(ids[1].narrow(0, 2, 3));
  suffix.lengths = {5, 3};
  suffix.cache = &cache;
  suffix.logits = {{0, 4}, {1, 2}};
  EXPECT_LT(max_difference(forward(config, single, suffix).logits, at::stack({wanted[8], wanted[13]})), 1e-4);
}

// What reads the head elsewhere than forward()'s logits: log-probabilities, with a low-rank head too, and the loss.
TEST_P(Description, HeadEqualsThePlainDecoder) {
  const Config& config = GetParam().config;
  at::manual_seed(10);
  std::vector<at::Tensor> tensors;
  for (const ParameterInfo& info : parameter_infos(config)) tensors.push_back(0.4 * at::randn(info.shape, at::kDouble));
  const Parameters exact(parameter_infos(config), tensors);
  const at::Tensor ids = at::randint(0, 50, {1, 9}, at::kLong);
  const auto plain_logprobs = [&](const Parameters& weights) {
    const at::Tensor all = at::log_softmax(plain_logits(config, weights, ids[0]), 1);
    return all.narrow(0, 0, 8).gather(1, ids[0].narrow(0, 1, 8).unsqueeze(1)).squeeze(1);
  };
  ForwardRequest request;
  request.token_ids = ids;
  for (std::int64_t t = 0; t < 8; ++t) request.logprobs.push_back({0, t, ids[0][t + 1].item<std::int64_t>()});
  EXPECT_LT(max_difference(forward(config, exact, request).logprobs, plain_logprobs(exact)), 1e-5);
  EXPECT_NEAR(causal_loss(config, exact, ids, {}, ids).item<double>(), -plain_logprobs(exact).mean().item<double>(),
              1e-5);

  const std::string head = config.tied_head ? "embed.weight" : "head.weight";
  const at::Tensor u = at::randn({50, 2}, at::kDouble), v = at::randn({24, 2}, at::kDouble);
  request.overrides[head] = {.dense = {}, .u = u, .v = v};
  const at::Tensor changed = plain_logprobs(exact.with(head, exact.at(head) + u.matmul(v.t())));
  EXPECT_LT(max_difference(forward(config, exact, request).logprobs, changed), 1e-5);
  EXPECT_NEAR(causal_loss(config, exact, ids, {}, ids, request.overrides).item<double>(),
              -changed.mean().item<double>(), 1e-5);
}

}  // namespace
}  // namespace palimpsest::model
