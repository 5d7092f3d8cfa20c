// The metric on the tiny model of palimpsest::testing: its numbers against what the model itself says.
#include "my_method.hpp"

#include <gtest/gtest.h>

#include "palimpsest/sdk/testing.hpp"

namespace my_method {
namespace {

sdk::testing::FactText fact() {
  sdk::testing::FactText text;
  text.subject = "France";
  text.prompt = "The capital of {} is";
  text.target_new = "Rome";
  return text;
}

TEST(MyMethod, IsTheMeanOverTheTargetsTokens) {
  sdk::testing::World world;
  world.add_fact(fact());
  sdk::testing::Tested<MyMethod> metric(world);
  const auto rows = metric.measure();
  ASSERT_EQ(rows.size(), 1U);

  // Token by token, each with all that stands before it.
  std::vector<std::int64_t> ids = world.host().encode_prompt("The capital of France is");
  const auto target = world.host().encode_target("Rome");
  double sum = 0;
  for (const std::int64_t token : target) {
    const auto last = static_cast<std::int64_t>(ids.size()) - 1;
    sum += world.model().run(sdk::Forward({ids}).logprobs({{0, last}}, {token})).logprobs.numbers().at(0);
    ids.push_back(token);
  }
  EXPECT_NEAR(std::get<double>(rows[0].values.at("surprise")), -sum / static_cast<double>(target.size()), 1e-4);
}

TEST(MyMethod, IsCapped) {
  sdk::testing::World world;
  world.add_fact(fact());
  sdk::testing::Tested<MyMethod> metric(world, {.cap = 0.5});
  EXPECT_EQ(std::get<double>(metric.measure().at(0).values.at("surprise")), 0.5);
}

}  // namespace
}  // namespace my_method
