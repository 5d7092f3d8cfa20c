#include "model/head.hpp"

#include <torch/csrc/autograd/autograd.h>

#include "base/error.hpp"
#include "model/golden_model.hpp"

namespace palimpsest::model {
namespace {

// A vocabulary so large that 400 rows take several chunks.
class Head : public ::testing::Test {
 protected:
  Head() {
    at::manual_seed(1);
    hidden = at::randn({400, 8});
    weight = at::randn({50000, 8});
    labels = at::randint(0, 50000, {400}, at::kLong);
  }
  at::Tensor hidden, weight, labels;
};

at::Tensor plain_logprobs(const at::Tensor& logits, const at::Tensor& targets) {
  return at::log_softmax(logits, 1).gather(1, targets.unsqueeze(1)).squeeze(1);
}

TEST_F(Head, CrossEntropyAndItsGradientsEqualThePlainForm) {
  labels.narrow(0, 10, 20).fill_(-100);
  const at::Tensor h = hidden.clone().requires_grad_(true), w = weight.clone().requires_grad_(true);
  const at::Tensor loss = cross_entropy(h, w, labels);
  (loss * 3).backward();
  const at::Tensor h2 = hidden.clone().requires_grad_(true), w2 = weight.clone().requires_grad_(true);
  const at::Tensor plain = at::cross_entropy_loss(h2.matmul(w2.t()), labels);
  (plain * 3).backward();
  EXPECT_NEAR(loss.item<double>(), plain.item<double>(), 1e-5);
  EXPECT_LT(relative_difference(h.grad(), h2.grad()), 1e-5);
  EXPECT_LT(relative_difference(w.grad(), w2.grad()), 1e-5);
  const at::NoGradGuard no_grad;
  EXPECT_EQ(cross_entropy(hidden, weight, labels).item<double>(), loss.item<double>());
}

TEST_F(Head, AFrozenWeightGetsNoGradient) {
  const at::Tensor h = hidden.clone().requires_grad_(true);
  cross_entropy(h, weight, labels).backward();
  EXPECT_TRUE(h.grad().defined());
  EXPECT_FALSE(weight.grad().defined());
}

TEST_F(Head, LogprobsOfTwoTermsEqualThePlainForm) {
  const at::Tensor u = at::randn({50000, 2}), a = at::randn({400, 2}), slope = at::randn({400});
  std::vector<at::Tensor> mine, plain;
  for (const at::Tensor& tensor : {hidden, weight, a, u}) {
    mine.push_back(tensor.clone().requires_grad_(true));
    plain.push_back(tensor.clone().requires_grad_(true));
  }
  const at::Tensor logprobs = target_logprobs({{mine[0], mine[1]}, {mine[2], mine[3]}}, labels);
  const at::Tensor wanted = plain_logprobs(plain[0].matmul(plain[1].t()) + plain[2].matmul(plain[3].t()), labels);
  EXPECT_LT(max_difference(logprobs, wanted), 1e-4);
  (logprobs * slope).sum().backward();
  (wanted * slope).sum().backward();
  for (std::size_t i = 0; i < mine.size(); ++i)
    EXPECT_LT(relative_difference(mine[i].grad(), plain[i].grad()), 1e-5) << i;
}

TEST_F(Head, BiasAndItsGradientEqualThePlainForm) {
  const at::Tensor values = at::randn({50000});
  const at::Tensor h = hidden.clone().requires_grad_(true), b = values.clone().requires_grad_(true);
  const at::Tensor h2 = hidden.clone().requires_grad_(true), b2 = values.clone().requires_grad_(true);
  const at::Tensor loss = cross_entropy(h, weight, labels, b);
  const at::Tensor plain = at::cross_entropy_loss(h2.matmul(weight.t()) + b2, labels);
  EXPECT_NEAR(loss.item<double>(), plain.item<double>(), 1e-5);
  (loss * 3).backward();
  (plain * 3).backward();
  EXPECT_LT(relative_difference(h.grad(), h2.grad()), 1e-5);
  EXPECT_LT(relative_difference(b.grad(), b2.grad()), 1e-5);

  const at::Tensor h3 = hidden.clone().requires_grad_(true), b3 = values.clone().requires_grad_(true);
  const at::Tensor logprobs = target_logprobs({{h3, weight}}, labels, b3);
  EXPECT_LT(max_difference(logprobs, plain_logprobs(hidden.matmul(weight.t()) + values, labels)), 1e-4);
  (logprobs.mean() * -3).backward();
  EXPECT_LT(relative_difference(h3.grad(), h2.grad()), 1e-5);
  EXPECT_LT(relative_difference(b3.grad(), b2.grad()), 1e-5);
  EXPECT_THROW(cross_entropy(hidden, weight, labels, at::zeros({49999})), Error);
}

// In bfloat16 the bias is added to the sum before that is rounded, so that logits, log-probabilities and loss are those
// of one and the same number. Rounded twice, every fourth logit or so would be another.
TEST_F(Head, BiasIsRoundedOnceInBfloat16) {
  const at::Tensor h = hidden.to(at::kBFloat16), w = weight.to(at::kBFloat16), b = at::randn({50000}).to(at::kBFloat16);
  const at::Tensor logits = at::linear(h, w, b).to(at::kFloat);
  const at::Tensor wanted = plain_logprobs(logits, labels);
  const at::Tensor differ = (target_logprobs({{h, w}}, labels, b) - wanted).abs() > 1e-4;
  EXPECT_LE(differ.sum().item<std::int64_t>(), 4) << "of 400";
  EXPECT_NEAR(cross_entropy(h, w, labels, b).item<double>(), -wanted.mean().item<double>(), 1e-4);
}

TEST_F(Head, RefusesLabelsThatCannotBe) {
  EXPECT_THROW(cross_entropy(hidden, weight, at::full({400}, -100, at::kLong)), Error);
  labels[4] = 50000;
  EXPECT_THROW(cross_entropy(hidden, weight, labels), Error);
  EXPECT_THROW(target_logprobs({{hidden, weight}}, labels), Error);
}

}  // namespace
}  // namespace palimpsest::model
