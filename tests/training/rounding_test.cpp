#include "training/rounding.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.hpp"
#include "model/golden_model.hpp"

namespace palimpsest::training {
namespace {

using model::equal_bits;

at::Tensor rounded(const at::Tensor& values, const Rng& stream, std::int64_t first = 0) {
  const at::Tensor made = at::empty(values.sizes(), at::kBFloat16);
  round_stochastically(values.clone(), made, stream, first);
  return made;
}

// Every number that bfloat16 has.
at::Tensor all_of_bfloat16() {
  at::Tensor all = at::empty({1 << 16}, at::kBFloat16);
  auto* bits = static_cast<std::uint16_t*>(all.mutable_data_ptr());
  std::iota(bits, bits + all.numel(), std::uint16_t{0});
  return all;
}

TEST(StochasticRounding, IsRightOnAverage) {
  constexpr std::int64_t kDraws = 1 << 16;
  // Near a power of two, whose neighbours lie at different distances; of either sign; subnormal.
  for (const float value : {1.001F, 0.99999F, -0.3333F, 1234.567F, -2.0001F, 1e-3F, 3.1e-39F, -65536.5F}) {
    const at::Tensor many = at::full({kDraws}, value);
    const at::Tensor drawn = rounded(many, Rng(3, cat("tests.rounding/", value))).to(at::kDouble);
    const auto low = drawn.min().item<double>(), high = drawn.max().item<double>();
    // Both neighbours, and they only.
    EXPECT_LT(low, value);
    EXPECT_GT(high, value);
    EXPECT_TRUE(((drawn == low) | (drawn == high)).all().item<bool>()) << value;
    const double upper = (static_cast<double>(value) - low) / (high - low);
    EXPECT_GT(upper, 0);
    EXPECT_LT(upper, 1);
    const double error = (high - low) * std::sqrt(upper * (1 - upper) / kDraws);
    EXPECT_NEAR(drawn.mean().item<double>(), value, 4.5 * error) << value;
  }
}

TEST(StochasticRounding, NeighboursAreNext) {
  at::manual_seed(2);
  const at::Tensor values = at::randn({100'000});
  const at::Tensor drawn = rounded(values, Rng(1, "tests.neighbours")).to(at::kFloat);
  const at::Tensor nearest = values.to(at::kBFloat16).to(at::kFloat);
  // A unit in the last place of bfloat16 is at most 2^-7 of a value.
  EXPECT_TRUE(((drawn - values).abs() < values.abs() / 128).all().item<bool>());
  EXPECT_FALSE(drawn.equal(nearest));
  EXPECT_NEAR((drawn - values).sum().item<double>(), 0, 4.5 * (drawn - values).norm().item<double>());
}

TEST(StochasticRounding, WhatBfloat16HoldsStays) {
  const at::Tensor held = all_of_bfloat16();
  const at::Tensor drawn = rounded(held.to(at::kFloat), Rng(4, "tests.held"));
  const at::Tensor numbers = at::logical_not(at::isnan(held));
  EXPECT_TRUE(equal_bits(held.masked_select(numbers), drawn.masked_select(numbers)));
  EXPECT_TRUE(at::isnan(drawn).equal(at::isnan(held)));
}

TEST(StochasticRounding, PartsAndThreadsDoNotShow) {
  at::manual_seed(5);
  const at::Tensor values = at::randn({70'001});
  const Rng stream(9, "tests.parts");
  const at::Tensor whole = rounded(values, stream);
  EXPECT_TRUE(equal_bits(whole, rounded(values, stream)));
  for (const std::int64_t cut : {1, 64, 12'345}) {
    const at::Tensor left = rounded(values.narrow(0, 0, cut), stream);
    const at::Tensor right = rounded(values.narrow(0, cut, values.size(0) - cut), stream, cut);
    EXPECT_TRUE(equal_bits(whole, at::cat({left, right}))) << cut;
  }
  const int threads = at::get_num_threads();
  at::set_num_threads(threads == 1 ? 3 : 1);
  EXPECT_TRUE(equal_bits(whole, rounded(values, stream)));
  at::set_num_threads(threads);
  EXPECT_FALSE(equal_bits(whole, rounded(values, Rng(10, "tests.parts"))));
  EXPECT_FALSE(equal_bits(whole, rounded(values, Rng(9, "tests.other"))));
}

}  // namespace
}  // namespace palimpsest::training
