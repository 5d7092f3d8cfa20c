// The maths that editors share: Adam, contexts, the lookup pass and the objective of v*, on the tiny model of
// tests/golden/rome.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "editing/adam.hpp"
#include "editing/golden_rome.hpp"
#include "editing/lookup_pass.hpp"
#include "editing/prompts.hpp"
#include "editing/services.hpp"
#include "editing/values.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::editing {
namespace {

const GoldenRome& golden() { return GoldenRome::get(); }

TEST(Adam, EqualsTorch) {
  const at::Tensor gradients = golden().tensor("adam.gradients"), wanted = golden().tensor("adam.parameters");
  const at::Tensor parameter = wanted[0].clone();
  Adam adam(0.3);
  for (std::int64_t step = 0; step < gradients.size(0); ++step) {
    adam.step(parameter, gradients[step]);
    EXPECT_LT(relative_difference(parameter, wanted[step + 1]), 1e-6) << "step " << step;
  }
}

TEST(Contexts, GivenOnesComeAfterTheBarePrompt) {
  Services services;
  const auto contexts = context_templates(services.model(), {"First. {}", "{}", "Second. {}"}, {});
  EXPECT_THAT(contexts, ::testing::ElementsAre("{}", "First. {}", "Second. {}"));
  EXPECT_EQ(in_context("First. {}", "The capital of {} is"), "First. The capital of {} is");
  for (const char* wrong : {"no place", "{} and {}"}) {
    EXPECT_THROW(context_templates(services.model(), {wrong}, {}), sdk::Error) << wrong;
  }
  EXPECT_THROW(context_templates(services.model(), {}, {5}), sdk::Error);
  EXPECT_THROW(context_templates(services.model(), {}, {0, 5}), sdk::Error);
}

TEST(Contexts, SampledOnesFollowTheSeedAndTheUneditedModel) {
  Services one(7), same(7), other(8), edited(7);
  const std::string down = "layers.0.mlp.down.weight";
  edited.weights.current = edited.weights.current.with(down, edited.weights.current.at(down) * 3);
  const auto contexts = context_templates(one.model(), {}, {4, 3, 6, 2});
  ASSERT_EQ(contexts.size(), 6u);
  EXPECT_EQ(contexts[0], "{}");
  for (std::size_t i = 1; i < contexts.size(); ++i) {
    EXPECT_TRUE(contexts[i].ends_with(". {}")) << contexts[i];
    EXPECT_EQ(contexts[i].find("{}"), contexts[i].size() - 2) << contexts[i];
  }
  EXPECT_EQ(contexts, context_templates(same.model(), {}, {4, 3, 6, 2}));
  EXPECT_EQ(contexts, context_templates(edited.model(), {}, {4, 3, 6, 2}));
  EXPECT_NE(contexts, context_templates(other.model(), {}, {4, 3, 6, 2}));
}

// Rows of the case "long" in all contexts, its KL row, and a row that begins with its lookup token.
struct Rows {
  explicit Rows(Services& services) {
    const auto request = golden().request("long");
    target = services.host().encode_target(request.target);
    for (const auto& context : golden().contexts()) {
      rows.push_back(lookup_row(services.host(), in_context(context, request.prompt), request.subject));
      rows.back().ids.insert(rows.back().ids.end(), target.begin(), target.end() - 1);
    }
    target_rows = static_cast<std::int64_t>(rows.size());
    rows.push_back(lookup_row(services.host(), "{} is a", request.subject));
    rows.push_back(lookup_row(services.host(), "{} is a", "L"));
    EXPECT_EQ(rows.back().lookup, 0);
  }
  std::vector<LookupRow> rows;
  std::vector<std::int64_t> target;
  std::int64_t target_rows = 0;
};

TEST(LookupPass, EqualsAFullForwardWithAReplacement) {
  constexpr std::int64_t kLayer = 1;
  Services services;
  const sdk::Model model = services.model();
  const Rows given(services);
  const LookupPass pass(model, given.rows, kLayer);

  std::vector<std::vector<std::int64_t>> ids;
  std::vector<sdk::Position> lookups, wanted_at;
  std::vector<Wanted> wanted;
  std::vector<std::int64_t> targets, all;
  for (std::size_t i = 0; i < given.rows.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    ids.push_back(given.rows[i].ids);
    lookups.push_back({row, given.rows[i].lookup});
    all.push_back(row);
    for (auto t = given.rows[i].lookup; t < static_cast<std::int64_t>(ids[i].size()); ++t) {
      wanted.push_back({row, t, 7 + 3 * t});
      wanted_at.push_back({row, t});
      targets.push_back(7 + 3 * t);
    }
  }
  const at::Tensor delta = golden().tensor("probe.delta");
  sdk::Forward full(ids);
  full.replace(sdk::mlp_value_site(kLayer), PALIMPSEST_REPLACE_ADD, lookups,
               sdk::to_handle(model.host(), delta.expand({static_cast<std::int64_t>(ids.size()), -1}).contiguous()));
  full.logprobs(wanted_at, targets).logits(lookups);
  const sdk::ForwardResult expected = model.run(full);
  const LookupPass::Result found = pass.run({delta}, wanted, all);
  EXPECT_LT((found.logprobs - sdk::torch_tensor(expected.logprobs)).abs().max().item<double>(), 1e-5);
  EXPECT_LT((found.logits - sdk::torch_tensor(expected.logits)).abs().max().item<double>(), 1e-5);

  // More positions than are taken at once, in another order.
  std::vector<Wanted> many;
  while (many.size() <= 600) many.insert(many.end(), wanted.rbegin(), wanted.rend());
  const at::Tensor repeated = pass.run({delta}, many, all).logprobs;
  for (std::int64_t begin = 0; begin < repeated.size(0); begin += found.logprobs.size(0)) {
    const at::Tensor part = repeated.narrow(0, begin, found.logprobs.size(0)).flip(0);
    EXPECT_LT((part - found.logprobs).abs().max().item<double>(), 1e-5);
  }

  sdk::Forward unchanged(ids);
  unchanged.to_layer(kLayer).capture(sdk::mlp_key_site(kLayer)).capture(sdk::mlp_value_site(kLayer));
  const sdk::ForwardResult before = model.run(unchanged);
  for (std::size_t i = 0; i < given.rows.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    const auto at_lookup = [&](const sdk::Tensor& whole) {
      return sdk::torch_tensor(whole)[row][given.rows[i].lookup];
    };
    EXPECT_LT(relative_difference(pass.keys()[row], at_lookup(before.captured[0])), 1e-5);
    EXPECT_LT(relative_difference(pass.values()[row], at_lookup(before.captured[1])), 1e-5);
    EXPECT_LT(relative_difference(pass.outputs()[row], at_lookup(before.hidden)), 1e-5);
  }
}

class Objective : public ::testing::Test {
 protected:
  Objective() : given_(services_), model_(services_.model()), pass_(model_, given_.rows, 1) {}

  // The one fact's objective as a function of its delta.
  struct OneFact {
    ValueObjective objective;
    ValueObjective::Evaluated at(const at::Tensor& delta) { return objective.at({delta})[0]; }
  };
  OneFact objective(double kl_factor = 0.0625) {
    OneFact made{ValueObjective(pass_, given_.rows, {{0, given_.target_rows, given_.target, pass_.values()[0]}},
                                {.v_num_grad_steps = 8,
                                 .v_lr = 0.5,
                                 .v_weight_decay = 0.5,
                                 .clamp_norm_factor = 4,
                                 .kl_factor = kl_factor,
                                 .v_stop_probability = 1})};
    made.at(at::zeros_like(golden().tensor("probe.delta")));
    return made;
  }

  Services services_;
  Rows given_;
  sdk::Model model_;
  LookupPass pass_;
};

TEST_F(Objective, LossAndGradientEqualPlainPython) {
  const at::Tensor delta = golden().tensor("probe.delta").requires_grad_(true);
  const c10::AutoGradMode with_grad(true);
  const ValueObjective::Evaluated found = objective().at(delta);
  found.loss.backward();
  EXPECT_NEAR(found.parts.loss, golden().tensor("probe.loss").item<double>(), 1e-5);
  EXPECT_LT(relative_difference(delta.grad(), golden().tensor("probe.gradient")), 1e-5);
}

TEST_F(Objective, GradientEqualsFiniteDifferences) {
  const at::Tensor delta = golden().tensor("probe.delta").requires_grad_(true);
  // A large weight, so that the KL term has its part in what is compared.
  OneFact function = objective(/*kl_factor=*/1);
  at::Tensor gradient;
  {
    const c10::AutoGradMode with_grad(true);
    function.at(delta).loss.backward();
    gradient = delta.grad().to(at::kDouble);
  }
  const c10::NoGradGuard no_grad;
  // Along the gradient, and along single coordinates, at the step where rounding and curvature are both small.
  constexpr double kStep = 1e-2;
  std::vector<at::Tensor> directions = {gradient / gradient.norm()};
  for (const std::int64_t i : {0, 9, 31}) {
    directions.push_back(at::zeros_like(gradient));
    directions.back()[i].fill_(1);
  }
  for (const at::Tensor& direction : directions) {
    const at::Tensor step = (kStep * direction).to(at::kFloat);
    const double difference =
        (function.at(delta + step).parts.loss - function.at(delta - step).parts.loss) / (2 * kStep);
    EXPECT_NEAR(difference, gradient.dot(direction).item<double>(), 2e-3 * gradient.norm().item<double>());
  }
}

}  // namespace
}  // namespace palimpsest::editing
