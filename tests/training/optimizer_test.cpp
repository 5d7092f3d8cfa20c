#include "training/optimizer.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.hpp"

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

TEST(AdamW, Refuses) {
  EXPECT_THROW(AdamW({at::zeros({2, 2})}, {}), Error);
  EXPECT_THROW(AdamW({leaf(at::zeros({2, 2}, at::kDouble))}, {}), Error);
  EXPECT_THROW(AdamW({leaf(at::zeros({2}))}, {.beta1 = 1.0}), Error);
  EXPECT_THROW(AdamW({leaf(at::zeros({2}))}, {.epsilon = 0.0}), Error);
}

}  // namespace
}  // namespace palimpsest::training
