#include "training/optimizer.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.hpp"
#include "model/golden_model.hpp"

namespace palimpsest::training {
namespace {

at::Tensor leaf(const at::Tensor& values) { return values.clone().requires_grad_(true); }

// The paper's formulas in float64.
struct PlainAdamW {
  AdamWOptions options;
  double decay;
  at::Tensor weight, first, second;
  int steps = 0;

  PlainAdamW(AdamWOptions chosen, double weight_decay, const at::Tensor& start)
      : options(chosen), decay(weight_decay), weight(start.to(at::kDouble)) {
    first = at::zeros_like(weight);
    second = at::zeros_like(weight);
  }
  void step(const at::Tensor& gradient, double rate) {
    const at::Tensor g = gradient.to(at::kDouble);
    ++steps;
    weight = weight * (1 - rate * decay);
    first = options.beta1 * first + (1 - options.beta1) * g;
    second = options.beta2 * second + (1 - options.beta2) * g * g;
    const at::Tensor corrected_first = first / (1 - std::pow(options.beta1, steps));
    const at::Tensor corrected_second = second / (1 - std::pow(options.beta2, steps));
    weight = weight - rate * corrected_first / (corrected_second.sqrt() + options.epsilon);
  }
};

TEST(AdamW, FollowsTheFormulasAndDecaysMatricesOnly) {
  at::manual_seed(1);
  const AdamWOptions options{.weight_decay = 0.3, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3};
  at::Tensor matrix = leaf(at::randn({7, 5})), vector = leaf(at::randn({9}));
  PlainAdamW plain_matrix(options, 0.3, matrix.detach()), plain_vector(options, 0.0, vector.detach());
  AdamW optimizer({matrix, vector}, options);
  for (int step = 0; step < 6; ++step) {
    matrix.mutable_grad() = at::randn({7, 5});
    vector.mutable_grad() = at::randn({9});
    const double rate = 0.01 * (step + 1), divisor = step % 2 == 0 ? 1.0 : 2.5;
    plain_matrix.step(matrix.grad() / divisor, rate);
    plain_vector.step(vector.grad() / divisor, rate);
    optimizer.step(rate, divisor);
    optimizer.clear_gradients();
    EXPECT_FALSE(matrix.grad().defined());
  }
  EXPECT_LT((matrix.detach() - plain_matrix.weight).abs().max().item<double>(), 1e-6);
  EXPECT_LT((vector.detach() - plain_vector.weight).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(optimizer.steps(), 6);
}

TEST(AdamW, ClippingBringsTheNormToTheBound) {
  at::Tensor a = leaf(at::zeros({2, 2})), b = leaf(at::zeros({1}));
  const AdamW optimizer({a, b}, {});
  EXPECT_EQ(optimizer.gradient_norm(), 0.0);
  a.mutable_grad() = at::full({2, 2}, 2.0F);
  b.mutable_grad() = at::full({1}, 3.0F);
  EXPECT_NEAR(optimizer.gradient_norm(), 5.0, 1e-6);
  EXPECT_DOUBLE_EQ(clip_divisor(5.0, 1.0), 5.0);
  EXPECT_DOUBLE_EQ(clip_divisor(5.0, 5.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_divisor(5.0, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_divisor(0.5, 1.0), 1.0);
}

TEST(AdamW, AWeightWithoutGradientStays) {
  at::Tensor used = leaf(at::ones({2, 2})), unused = leaf(at::ones({2, 2}));
  AdamW optimizer({used, unused}, {.weight_decay = 0.5});
  used.mutable_grad() = at::ones({2, 2});
  optimizer.step(0.1);
  EXPECT_TRUE(unused.detach().equal(at::ones({2, 2})));
  EXPECT_FALSE(used.detach().equal(at::ones({2, 2})));
}

TEST(AdamW, NormOfManyValuesKeepsItsDigits) {
  const at::Tensor many = at::full({3000, 700}, 0.1F);
  EXPECT_NEAR(norm_of(many) / (0.1F * std::sqrt(3000.0 * 700.0)), 1.0, 1e-6);
}

// Weights of odd lengths, stepped with the same gradients under the given options.
std::vector<at::Tensor> stepped(AdamWOptions options, at::ScalarType dtype, std::uint64_t seed = 5) {
  options.weight_decay = 0.3;
  at::manual_seed(7);
  std::vector<at::Tensor> weights;
  weights.push_back(leaf(at::randn({23, 41}).to(dtype)));
  weights.push_back(leaf(at::randn({1000}).to(dtype)));
  weights.push_back(leaf(at::randn({3}).to(dtype)));
  AdamW optimizer(weights, options, {seed, {"a", "b", "c"}});
  for (int step = 0; step < 5; ++step) {
    for (at::Tensor& weight : weights) weight.mutable_grad() = at::randn(weight.sizes()).to(dtype);
    optimizer.step(0.01, step == 2 ? 3.0 : 1.0);
  }
  for (at::Tensor& weight : weights) weight = weight.detach();
  return weights;
}

void expect_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(model::equal_bits(a[i], b[i])) << i;
}

TEST(AdamW, NeitherThePlaceOfTheMomentsNorThePiecesShow) {
  const auto usual = stepped({}, at::kFloat);
  expect_equal(usual, stepped({.state = StatePlace::kHost}, at::kFloat));
  expect_equal(usual, stepped({.state = StatePlace::kHost, .piece = 64}, at::kFloat));
  const auto narrow = stepped({}, at::kBFloat16);
  expect_equal(narrow, stepped({.state = StatePlace::kHost}, at::kBFloat16));
  expect_equal(narrow, stepped({.piece = 64}, at::kBFloat16));
  expect_equal(narrow, stepped({.state = StatePlace::kHost, .piece = 128}, at::kBFloat16));
}

TEST(AdamW, RoundsByTheSeedTheStepAndTheName) {
  const auto once = stepped({}, at::kBFloat16, 5), other = stepped({}, at::kBFloat16, 6);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_FALSE(once[i].equal(other[i])) << i;
  // Two weights alike, whose steps fall between two numbers: each is rounded by bits of its own, each step anew.
  at::Tensor a = leaf(at::ones({512}, at::kBFloat16)), b = leaf(at::ones({512}, at::kBFloat16));
  AdamW optimizer({a, b}, {}, {1, {"a", "b"}});
  std::vector<at::Tensor> seen;
  for (int step = 0; step < 2; ++step) {
    const c10::NoGradGuard no_grad;
    a.fill_(1);
    b.fill_(1);
    a.mutable_grad() = at::ones({512}, at::kBFloat16);
    b.mutable_grad() = at::ones({512}, at::kBFloat16);
    optimizer.step(1e-3);
    seen.insert(seen.end(), {a.detach().clone(), b.detach().clone()});
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(seen[i].equal(seen[j])) << i << " " << j;
  }
}

// In bfloat16 the number below 1 is 1 - 2^-8: a step of 1e-4 is a fortieth of the way.
TEST(AdamW, StepsBelowHalfAUnitMoveBfloat16OnAverage) {
  constexpr std::int64_t kWeights = 1 << 14;
  constexpr int kSteps = 50;
  constexpr double kRate = 1e-4;
  at::Tensor weight = leaf(at::ones({kWeights}, at::kBFloat16)), nearest = at::ones({kWeights}, at::kBFloat16);
  at::Tensor wide = leaf(at::ones({kWeights}));
  AdamW optimizer({weight}, {}, {2, {"w"}}), plain({wide}, {});
  for (int step = 0; step < kSteps; ++step) {
    weight.mutable_grad() = at::ones({kWeights}, at::kBFloat16);
    wide.mutable_grad() = at::ones({kWeights});
    optimizer.step(kRate);
    plain.step(kRate);
    nearest = (nearest.to(at::kFloat) - kRate).to(at::kBFloat16);
  }
  EXPECT_TRUE(nearest.equal(at::ones({kWeights}, at::kBFloat16)));
  const at::Tensor moved = weight.detach().to(at::kDouble) - 1;
  const double error = (moved.std() / std::sqrt(static_cast<double>(kWeights))).item<double>();
  const double wanted = wide.detach().to(at::kDouble).mean().item<double>() - 1;
  EXPECT_NEAR(wanted, -kSteps * kRate, 1e-5);
  EXPECT_GT(error, 0);
  EXPECT_NEAR(moved.mean().item<double>(), wanted, 4.5 * error);
  EXPECT_LT(4.5 * error, -wanted / 10);
}

TEST(AdamW, GradientsInBfloat16HaveTheirNormInFloat32) {
  at::Tensor weight = leaf(at::zeros({2, 4096}, at::kBFloat16));
  const AdamW optimizer({weight}, {}, {1, {"w"}});
  weight.mutable_grad() = at::full({2, 4096}, 0.01, at::kBFloat16);
  const double one = weight.grad()[0][0].item<double>();
  EXPECT_NEAR(optimizer.gradient_norm() / (one * std::sqrt(8192.0)), 1, 1e-6);
}

TEST(AdamW, Refuses) {
  EXPECT_THROW(AdamW({at::zeros({2, 2})}, {}), Error);
  EXPECT_THROW(AdamW({leaf(at::zeros({2, 2}, at::kDouble))}, {}), Error);
  EXPECT_THROW(AdamW({leaf(at::zeros({2}))}, {.beta1 = 1.0}), Error);
  EXPECT_THROW(AdamW({leaf(at::zeros({2}))}, {.epsilon = 0.0}), Error);
  // Nothing says by what it would be rounded.
  EXPECT_THROW(AdamW({leaf(at::zeros({2}, at::kBFloat16))}, {}), Error);
  EXPECT_THROW(AdamW({leaf(at::zeros({2}, at::kBFloat16))}, {}, {1, {"a", "b"}}), Error);
  EXPECT_THROW(AdamW({leaf(at::zeros({2}))}, {.piece = 100}), Error);
  EXPECT_THROW(AdamW({leaf(at::zeros({2}))}, {.piece = 0}), Error);
  EXPECT_THROW(parse_state_place("gpu"), Error);
  EXPECT_THROW(parse_masters("bfloat16"), Error);
}

}  // namespace
}  // namespace palimpsest::training
