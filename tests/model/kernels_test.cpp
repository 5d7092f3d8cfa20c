// The inner loops against the same formulas in float64, and what they promise: no split of the rows shows, NaN comes
// out.
#include "model/kernels.hpp"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "model/attention.hpp"
#include "model/golden_model.hpp"
#include "model/mlp.hpp"
#include "model/normalisation.hpp"

namespace palimpsest::model {
namespace {

class Kernels : public ::testing::Test {
 protected:
  Kernels() { at::manual_seed(3); }
};

at::Tensor leaf(const at::Tensor& x) { return x.detach().clone().requires_grad_(true); }

// 37 columns: more than two vectors of any length, and a rest.
TEST_F(Kernels, GatedSiluAndItsGradientEqualThePlainForm) {
  for (const auto& [dtype, bound] : {std::pair{at::kFloat, 1e-6}, std::pair{at::kBFloat16, 1e-2}}) {
    const at::Tensor gate = leaf((at::randn({5, 37}) * 8).to(dtype)), up = leaf(at::randn({5, 37}).to(dtype));
    const at::Tensor slope = at::randn({5, 37}).to(dtype);
    const at::Tensor key = mlp_key(Activation::kSilu, gate, up);
    key.backward(slope);
    const at::Tensor g = leaf(gate.to(at::kDouble)), u = leaf(up.to(at::kDouble));
    const at::Tensor wanted = g * at::sigmoid(g) * u;
    wanted.backward(slope.to(at::kDouble));
    EXPECT_EQ(key.scalar_type(), dtype);
    EXPECT_LT(relative_difference(key, wanted), bound);
    EXPECT_LT(relative_difference(gate.grad(), g.grad()), bound);
    EXPECT_LT(relative_difference(up.grad(), u.grad()), bound);
    const at::Tensor untraced = mlp_key(Activation::kSilu, gate.detach().clone(), up.detach());
    EXPECT_TRUE(equal_bits(untraced, key.detach()));
  }
}

TEST_F(Kernels, GatedSiluOfExtremesIsFiniteAndOfNaNIsNaN) {
  const std::vector<float> gates = {-1e30F, -200.0F, -0.0F, 200.0F, std::numeric_limits<float>::quiet_NaN()};
  std::vector<float> ups(gates.size(), 2.0F), keys(gates.size());
  kernels::gated_silu(gates.data(), ups.data(), static_cast<std::int64_t>(gates.size()), keys.data());
  for (std::size_t i = 0; i + 2 < gates.size(); ++i) EXPECT_NEAR(keys[i], 0.0F, 1e-6F) << gates[i];
  EXPECT_EQ(keys[3], 400.0F);
  EXPECT_TRUE(std::isnan(keys[4]));
}

TEST_F(Kernels, ANormWritesBfloat16WhereAutocastWantsItAndTakesItsGradientBack) {
  const at::Tensor x = at::randn({70, 37}), weight = at::rand({37}) + 0.5;
  const at::Tensor wide = rms_norm(x, weight, 1e-5);
  std::vector<float> y(static_cast<std::size_t>(x.numel())), inverses(70);
  std::vector<kernels::Bfloat16> narrow(y.size());
  kernels::rms_norm(x.const_data_ptr<float>(), weight.const_data_ptr<float>(), 1e-5F, 70, 37, narrow.data(),
                    inverses.data());
  const at::Tensor got = at::from_blob(narrow.data(), {70, 37}, at::kBFloat16);
  EXPECT_TRUE(equal_bits(got, wide.to(at::kBFloat16)));

  const at::Tensor slope = at::randn({70, 37}).to(at::kBFloat16);
  at::Tensor dx = at::empty({70, 37}), dweight = at::zeros({37});
  kernels::rms_norm_backward(static_cast<const kernels::Bfloat16*>(slope.const_data_ptr()), x.const_data_ptr<float>(),
                             weight.const_data_ptr<float>(), inverses.data(), 70, 37, dx.mutable_data_ptr<float>(),
                             dweight.mutable_data_ptr<float>());
  const at::Tensor x2 = leaf(x.to(at::kDouble)), w2 = leaf(weight.to(at::kDouble));
  (w2 * x2 * at::rsqrt(x2.square().mean(-1, true) + 1e-5)).backward(slope.to(at::kDouble));
  EXPECT_LT(relative_difference(dx, x2.grad()), 1e-6);
  EXPECT_LT(relative_difference(dweight, w2.grad()), 1e-6);
}

// Both ways of attending: all scores at once for short rows, torch's kernel for others.
TEST_F(Kernels, CausalAttentionAndItsGradientEqualThePlainForm) {
  constexpr std::int64_t kHeads = 6, kKvHeads = 2, kWidth = 8;
  for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{19}, std::int64_t{260}}) {
    const at::Tensor query = leaf(at::randn({3, tokens, kHeads, kWidth}));
    const at::Tensor key = leaf(at::randn({3, kKvHeads, tokens, kWidth}));
    const at::Tensor value = leaf(at::randn({3, kKvHeads, tokens, kWidth}));
    const at::Tensor slope = at::randn({3, tokens, kHeads * kWidth});
    const at::Tensor out = attend(query, key, value, {}, true);
    out.backward(slope);

    const at::Tensor q = leaf(query.to(at::kDouble)), k = leaf(key.to(at::kDouble)), v = leaf(value.to(at::kDouble));
    const auto each_head = [](const at::Tensor& x) { return x.repeat_interleave(kHeads / kKvHeads, 1); };
    const at::Tensor hidden = at::ones({tokens, tokens}, at::kBool).triu(1);
    const at::Tensor scores = at::matmul(q.transpose(1, 2), each_head(k).transpose(2, 3)) / std::sqrt(double{kWidth});
    const at::Tensor weights = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()).softmax(-1);
    const at::Tensor wanted = at::matmul(weights, each_head(v)).transpose(1, 2).flatten(2);
    wanted.backward(slope.to(at::kDouble));
    EXPECT_LT(relative_difference(out, wanted), 1e-6) << tokens;
    if (tokens > 1) {
      EXPECT_LT(relative_difference(query.grad(), q.grad()), 2e-6) << tokens;
      EXPECT_LT(relative_difference(key.grad(), k.grad()), 2e-6) << tokens;
    }
    EXPECT_LT(relative_difference(value.grad(), v.grad()), 1e-6) << tokens;
    const at::NoGradGuard no_grad;
    EXPECT_LT(relative_difference(attend(query, key, value, {}, true), wanted), 1e-6) << tokens;
  }
}

// A sure token among 49152: what the others have together is all that its gradient p - 1 is made of.
TEST_F(Kernels, TheGradientOfASureTokenIsThatOfTheOthers) {
  at::Tensor row = at::randn({49152}) * 3 - 5;
  row[7] = 12;
  const at::Tensor wide = row.to(at::kDouble);
  const double others = 1 - at::softmax(wide, 0)[7].item<double>();
  ASSERT_LT(others, 0.5);
  std::vector<float> scratch(49152);
  const float found = kernels::target_logprob(row.mutable_data_ptr<float>(), 49152, 7, 1.0F, scratch.data());
  EXPECT_NEAR(found, std::log1p(-others), 1e-6);
  EXPECT_NEAR(row[7].item<double>(), -others, 1e-6);
}

TEST_F(Kernels, TheLossOfARowAndItsGradientEqualThePlainForm) {
  constexpr std::int64_t kVocabulary = 1003, kTarget = 77;
  const at::Tensor logits = at::randn({kVocabulary}) * 10;
  const at::Tensor wide = leaf(logits.to(at::kDouble));
  const at::Tensor wanted = at::log_softmax(wide, 0)[kTarget];
  (wanted * -0.25).backward();

  at::Tensor row = logits.clone();
  std::vector<float> scratch(kVocabulary);
  EXPECT_NEAR(kernels::target_logprob(row.mutable_data_ptr<float>(), kVocabulary, kTarget, 0.25F, nullptr),
              wanted.item<double>(), 1e-5);
  EXPECT_TRUE(equal_bits(row, logits));
  EXPECT_NEAR(kernels::target_logprob(row.mutable_data_ptr<float>(), kVocabulary, kTarget, 0.25F, scratch.data()),
              wanted.item<double>(), 1e-5);
  EXPECT_LT(relative_difference(row, wide.grad()), 1e-6);

  row = logits.clone();
  row[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(
      std::isnan(kernels::target_logprob(row.mutable_data_ptr<float>(), kVocabulary, kTarget, 1.0F, scratch.data())));
}

}  // namespace
}  // namespace palimpsest::model
