// Gradients: against transformers for every parameter, against finite differences for what editors optimise.
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "model/golden_model.hpp"
#include "model/head.hpp"

namespace palimpsest::model {
namespace {

Parameters requiring_grad(const Parameters& parameters) {
  std::vector<at::Tensor> tensors;
  for (std::size_t i = 0; i < parameters.size(); ++i) tensors.push_back(parameters[i].clone().requires_grad_(true));
  return Parameters(parameters.infos(), tensors);
}

class Gradients : public ::testing::TestWithParam<std::string> {
 protected:
  const Reference reference{GetParam()};
  const Model model = open_model(golden_folder(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Models, Gradients, ::testing::ValuesIn(golden_names()),
                         [](const auto& test) { return test.param; });

TEST_P(Gradients, OfEveryParameterEqualTransformers) {
  const Parameters parameters = requiring_grad(model.parameters);
  const at::Tensor loss = causal_loss(model.config, parameters, reference.at("token_ids"), reference.list("lengths"),
                                      reference.at("labels"));
  EXPECT_NEAR(loss.item<double>(), reference.at("loss").item<double>(), 1e-5);
  loss.backward();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::string& name = parameters.infos()[i].name;
    const at::Tensor wanted = reference_gradient(reference, model.config, name);
    ASSERT_TRUE(parameters[i].grad().defined()) << name;
    // The key's bias moves every score of a query alike: its gradient is 0 but for rounding.
    if (wanted.norm().item<double>() < 1e-6) continue;
    EXPECT_LT(relative_difference(parameters[i].grad(), wanted), 1e-4) << name;
  }
}

TEST_P(Gradients, AutocastStaysNear) {
  const Parameters parameters = requiring_grad(model.parameters);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  at::autocast::increment_nesting();
  const at::Tensor loss = causal_loss(model.config, parameters, reference.at("token_ids"), reference.list("lengths"),
                                      reference.at("labels"));
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCPU, false);
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  EXPECT_NEAR(loss.item<double>(), reference.at("loss").item<double>(), 0.1);
  EXPECT_NE(loss.item<double>(), reference.at("loss").item<double>());
  loss.backward();
  const std::string name = "layers.1.mlp.down.weight";
  const at::Tensor down = parameters.at(name).grad();
  EXPECT_EQ(down.scalar_type(), at::kFloat);
  EXPECT_LT(relative_difference(down, reference_gradient(reference, model.config, name)), 0.1);
}

// 2,048 places of two tokens: a sum in bfloat16 would stop growing after 256 of them.
TEST_P(Gradients, SumsOverManyPlacesDoNotStopInBfloat16) {
  constexpr std::int64_t kRows = 128, kTokens = 16;
  const at::Tensor ids = at::arange(kTokens).remainder(2).add(3).repeat({kRows, 1});
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(kRows), kTokens);
  OpenOptions options;
  options.dtype = at::kBFloat16;
  const Parameters narrow = requiring_grad(open_model(golden_folder(GetParam()), options).parameters);
  std::vector<at::Tensor> copies;
  for (std::size_t i = 0; i < narrow.size(); ++i) copies.push_back(narrow[i].detach().to(at::kFloat));
  const Parameters wide = requiring_grad(Parameters(narrow.infos(), copies));
  for (const Parameters* parameters : {&narrow, &wide}) {
    causal_loss(model.config, *parameters, ids, lengths, ids.clone()).backward();
  }
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    const std::string& name = narrow.infos()[i].name;
    if (!name.starts_with("embed") && !name.starts_with("final_norm")) continue;
    const double found = narrow[i].grad().to(at::kFloat).norm().item<double>();
    const double wanted = wide[i].grad().norm().item<double>();
    EXPECT_NEAR(found / wanted, 1, 0.15) << name;
  }
}

TEST_P(Gradients, NothingElseRequiresGrad) {
  ForwardRequest request = whole_request(reference);
  request.capture = {{SitePoint::kLayerOut, 0}, {SitePoint::kLayerOut, 1}};
  EXPECT_FALSE(forward(model, request).logits.requires_grad());
  Replacement replacement;
  replacement.site = {SitePoint::kMlpValue, 1};
  replacement.mode = Replacement::Mode::kAdd;
  replacement.at = {{0, 1}};
  replacement.value = at::zeros({32}).requires_grad_(true);
  request.replace = {replacement};
  const ForwardResult result = forward(model, request);
  EXPECT_FALSE(result.captured[0].requires_grad());
  EXPECT_TRUE(result.captured[1].requires_grad());
  EXPECT_TRUE(result.logits.requires_grad());
}

// In float64, where central differences are exact to 1e-8: d loss / d x for a loss given as a function of x.
template <typename Loss>
void expect_finite_differences(const at::Tensor& at_point, Loss loss) {
  const at::Tensor x = at_point.clone().requires_grad_(true);
  loss(x).backward();
  const at::Tensor gradient = x.grad().clone();
  EXPECT_GT(gradient.norm().template item<double>(), 0.0);
  at::manual_seed(3);
  constexpr double kStep = 1e-5;
  const at::NoGradGuard no_grad;
  for (int trial = 0; trial < 4; ++trial) {
    const at::Tensor direction = at::randn_like(at_point);
    const double slope =
        (loss(at_point + kStep * direction) - loss(at_point - kStep * direction)).template item<double>() / (2 * kStep);
    const double wanted = (gradient * direction).sum().template item<double>();
    EXPECT_NEAR(slope, wanted, 1e-6 * (1.0 + std::abs(wanted)));
  }
}

TEST_P(Gradients, FiniteDifferences) {
  const Parameters wide = model.parameters.to(at::kDouble, at::kCPU);
  at::manual_seed(5);
  ForwardRequest base = whole_request(reference);
  base.logits.clear();
  base.logprobs = {{0, 6, 17}, {0, 11, 200}, {1, 5, 3}};

  const auto with_replacement = [&](Replacement::Mode mode) {
    return [&, mode](const at::Tensor& value) {
      ForwardRequest request = base;
      Replacement replacement;
      replacement.site = {SitePoint::kMlpValue, 0};
      replacement.mode = mode;
      replacement.at = {{0, 4}, {1, 2}};
      replacement.value = value;
      request.replace = {replacement};
      return forward(model.config, wide, request).logprobs.sum();
    };
  };
  const at::Tensor value = at::randn({2, 32}, at::kDouble);
  expect_finite_differences(value, with_replacement(Replacement::Mode::kSet));
  expect_finite_differences(value, with_replacement(Replacement::Mode::kAdd));

  const std::string head = model.config.tied_head ? "embed.weight" : "head.weight";
  for (const std::string& name :
       {std::string("layers.0.mlp.down.weight"), std::string("layers.1.attention.key.weight"), head}) {
    const at::Tensor& weight = wide.at(name);
    const at::Tensor u = 0.3 * at::randn({weight.size(0), 2}, at::kDouble);
    const at::Tensor v = 0.3 * at::randn({weight.size(1), 2}, at::kDouble);
    const auto loss = [&](const at::Tensor& left, const at::Tensor& right) {
      ForwardRequest request = base;
      request.overrides[name] = {.dense = {}, .u = left, .v = right};
      return forward(model.config, wide, request).logprobs.sum();
    };
    expect_finite_differences(u, [&](const at::Tensor& x) { return loss(x, v); });
    expect_finite_differences(v, [&](const at::Tensor& x) { return loss(u, x); });
  }
}

// The editors' inner loop: from layer 1 on, suffix tokens only, with a cache that holds only those layers.
TEST_P(Gradients, ThroughCacheAndStartingLayerEqualTheFullRun) {
  ForwardRequest whole;
  whole.token_ids = reference.at("token_ids").narrow(0, 0, 1);
  whole.logprobs = {{0, 11, 30}, {0, 9, 31}};
  Replacement replacement;
  replacement.site = {SitePoint::kLayerOut, 0};
  replacement.mode = Replacement::Mode::kAdd;
  replacement.at = {{0, 6}};
  const at::Tensor delta = 0.1 * at::ones({32});
  replacement.value = delta.clone().requires_grad_(true);
  whole.replace = {replacement};
  forward(model, whole).logprobs.sum().backward();
  const at::Tensor wanted = replacement.value.grad();

  ForwardRequest prefix;
  prefix.token_ids = whole.token_ids;
  prefix.return_cache = true;
  prefix.capture = {{SitePoint::kLayerOut, 0}};
  const ForwardResult kept = forward(model, prefix);
  const std::vector<std::int64_t> cut = {6};
  const Cache cache = kept.cache.truncate(cut).from_layer(1);
  const at::Tensor x = delta.clone().requires_grad_(true);
  at::Tensor stream = kept.captured[0].narrow(1, 6, 6);
  stream = at::cat({stream.narrow(1, 0, 1) + x, stream.narrow(1, 1, 5)}, 1);
  ForwardRequest suffix;
  suffix.first_layer = 1;
  suffix.hidden = stream;
  suffix.cache = &cache;
  suffix.logprobs = {{0, 5, 30}, {0, 3, 31}};
  forward(model, suffix).logprobs.sum().backward();
  EXPECT_LT(relative_difference(x.grad(), wanted), 1e-5);
}

}  // namespace
}  // namespace palimpsest::model
