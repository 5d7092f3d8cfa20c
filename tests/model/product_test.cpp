#include "model/product.hpp"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "model/attention.hpp"
#include "model/golden_model.hpp"
#include "model/head.hpp"

namespace palimpsest::model {
namespace {

// bfloat16 keeps eight bits.
constexpr double kRounding = 1.0 / 256;

class Autocast {
 public:
  Autocast() {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;
};

class Widened {
 public:
  Widened() { pretend_multiplies_bfloat16(false); }
  ~Widened() { pretend_multiplies_bfloat16(std::nullopt); }
  Widened(const Widened&) = delete;
  Widened& operator=(const Widened&) = delete;
};

class Product : public ::testing::Test {
 protected:
  Product() {
    at::manual_seed(3);
    x = at::randn({3, 4, 32});
    weight = at::randn({16, 32});
    bias = at::randn({16});
    d_y = at::randn({3, 4, 16});
  }
  at::Tensor x, weight, bias, d_y;
};

TEST_F(Product, WidenedIsTheFloat32ProductRounded) {
  const at::Tensor a = x.to(at::kBFloat16), w = weight.to(at::kBFloat16), b = bias.to(at::kBFloat16);
  const at::Tensor y = widened_product(a, w, b);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  const at::Tensor wanted = at::linear(a.to(at::kDouble), w.to(at::kDouble), b.to(at::kDouble));
  EXPECT_LT((y.to(at::kDouble) - wanted).abs().max().item<double>(), kRounding * wanted.abs().max().item<double>());
  EXPECT_TRUE(
      at::equal(widened_product(a, w, std::nullopt), at::linear(a.to(at::kFloat), w.to(at::kFloat)).to(at::kBFloat16)));
}

TEST_F(Product, WidenedHasTheGradientsOfTheProduct) {
  for (const auto type : {at::kBFloat16, at::kFloat}) {
    std::vector<at::Tensor> leaves, plain;
    for (const at::Tensor* tensor : {&x, &weight, &bias}) {
      leaves.push_back(tensor->to(type, false, true).requires_grad_(true));
      plain.push_back(tensor->clone().requires_grad_(true));
    }
    const at::Tensor y = widened_product(leaves[0], leaves[1], leaves[2]);
    EXPECT_EQ(y.scalar_type(), at::kBFloat16);
    y.backward(d_y.to(at::kBFloat16));
    at::linear(plain[0], plain[1], plain[2]).backward(d_y);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      EXPECT_EQ(leaves[i].grad().scalar_type(), type);
      EXPECT_LT(relative_difference(leaves[i].grad().to(at::kFloat), plain[i].grad()), 2 * kRounding);
    }
  }
}

TEST_F(Product, OnlyTheGradientsAskedForAreMade) {
  const at::Tensor w = weight.clone().requires_grad_(true);
  widened_product(x, w, std::nullopt).backward(d_y.to(at::kBFloat16));
  EXPECT_TRUE(w.grad().defined());
  EXPECT_FALSE(x.grad().defined());
  EXPECT_FALSE(widened_product(x, weight, bias).requires_grad());
}

// By kernels of libtorch's or by widening, whichever this processor has: the same to the rounding.
TEST_F(Product, LinearIsTheProductInEveryArithmetic) {
  EXPECT_TRUE(at::equal(product(x, weight, bias), at::linear(x, weight, bias)));
  const at::Tensor wanted = at::linear(x, weight, bias);
  const at::Tensor reduced = product(x.to(at::kBFloat16), weight.to(at::kBFloat16), bias.to(at::kBFloat16));
  EXPECT_EQ(reduced.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_difference(reduced.to(at::kFloat), wanted), 2 * kRounding);
  const Autocast autocast;
  const at::Tensor cast = product(x, weight, bias);
  EXPECT_EQ(cast.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_difference(cast.to(at::kFloat), wanted), 2 * kRounding);
  EXPECT_EQ(product(x.to(at::kDouble), weight.to(at::kDouble)).scalar_type(), at::kDouble);
}

TEST_F(Product, IsWidenedWhereTheProcessorHasNoKernelForIt) {
  EXPECT_EQ(is_to_be_widened(x.to(at::kBFloat16)), !multiplies_bfloat16());
  EXPECT_FALSE(is_to_be_widened(x));
  pretend_multiplies_bfloat16(true);
  EXPECT_FALSE(is_to_be_widened(x.to(at::kBFloat16)));
  pretend_multiplies_bfloat16(std::nullopt);
  const Autocast autocast;
  EXPECT_EQ(is_to_be_widened(x), !multiplies_bfloat16());
  EXPECT_FALSE(is_to_be_widened(x.to(at::kDouble)));
}

TEST_F(Product, FactorsOfUnlikeTypesAreRefusedEverywhere) {
  const Widened widened;
  EXPECT_THROW(product(x.to(at::kBFloat16), weight), c10::Error);
}

// What goes on from products as on a processor without kernels for them, whatever this one has.

TEST_F(Product, TheHeadsLogitsAreTheProducts) {
  const Widened widened;
  const at::Tensor hidden = x.flatten(0, 1).to(at::kBFloat16), w = at::randn({50, 32}).to(at::kBFloat16);
  const at::Tensor targets = at::randint(0, 50, {12}, at::kLong);
  const at::Tensor logits = product(hidden, w).to(at::kFloat);
  const at::Tensor wanted = at::log_softmax(logits, 1).gather(1, targets.unsqueeze(1)).squeeze(1);
  EXPECT_LT((target_logprobs({{hidden, w}}, targets, {}) - wanted).abs().max().item<double>(), 1e-5);
  EXPECT_NEAR(cross_entropy(hidden, w, targets, {}).item<double>(), -wanted.mean().item<double>(), 1e-5);

  const at::Tensor h = hidden.clone().requires_grad_(true), v = w.clone().requires_grad_(true);
  cross_entropy(h, v, targets, {}).backward();
  const at::Tensor h_wide = hidden.to(at::kFloat).requires_grad_(true), v_wide = w.to(at::kFloat).requires_grad_(true);
  cross_entropy(h_wide, v_wide, targets, {}).backward();
  EXPECT_LT(relative_difference(h.grad().to(at::kFloat), h_wide.grad()), 2 * kRounding);
  EXPECT_LT(relative_difference(v.grad().to(at::kFloat), v_wide.grad()), 2 * kRounding);
}

TEST_F(Product, AttentionOfLongRowsIsThatOfFloat32) {
  // More tokens than the kernel for short rows takes; two query heads share a key.
  const at::Tensor query = at::randn({1, 300, 4, 16}), key = at::randn({1, 2, 300, 16}),
                   value = at::randn({1, 2, 300, 16}), d_out = at::randn({1, 300, 64});
  const auto gradients = [&](at::ScalarType type) {
    std::vector<at::Tensor> leaves;
    for (const at::Tensor* tensor : {&query, &key, &value}) {
      leaves.push_back(tensor->to(at::kBFloat16).to(type).requires_grad_(true));
    }
    const at::Tensor out = attend(leaves[0], leaves[1], leaves[2], {}, true);
    EXPECT_EQ(out.scalar_type(), type);
    out.backward(d_out.to(type));
    return std::vector<at::Tensor>{out.detach(), leaves[0].grad(), leaves[1].grad(), leaves[2].grad()};
  };
  const auto wanted = gradients(at::kFloat);
  const Widened widened;
  const auto found = gradients(at::kBFloat16);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_LT(relative_difference(found[i].to(at::kFloat), wanted[i]), 2 * kRounding);
  }
}

}  // namespace
}  // namespace palimpsest::model
