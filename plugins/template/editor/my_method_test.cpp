// The editor on the tiny model of palimpsest::testing. Its weights are random, so only the algebra means anything.
#include "my_method.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "palimpsest/sdk/probing.hpp"
#include "palimpsest/sdk/testing.hpp"

namespace my_method {
namespace {

const sdk::testing::Request kRequest = {"The capital of {} is", "France", "Rome"};

double probability(const sdk::testing::World& world) {
  const auto scores = sdk::score_targets(world.host(), world.model(), {{"The capital of France is", "Rome"}});
  return std::exp(scores[0].logp());
}

TEST(MyMethod, MakesTheModelGiveTheTarget) {
  sdk::testing::World world;
  sdk::testing::Tested<MyMethod> editor(world, {.layer = 1});
  const double before = probability(world);
  const auto edit = editor.apply({kRequest});
  ASSERT_EQ(edit.updates.size(), 1U);
  EXPECT_EQ(edit.updates[0].parameter, "layers.1.mlp.down.weight");
  EXPECT_GT(probability(world), before);
}

// W' k = W k + delta at the subject's last token, where delta is the update's left vector.
TEST(MyMethod, WritesTheWantedValue) {
  sdk::testing::World world;
  sdk::testing::Tested<MyMethod> editor(world, {.layer = 1});
  const auto prompt = world.host().encode_prompt("The capital of France is");
  const auto lookup = static_cast<std::size_t>(world.host().subject_last_token("The capital of {} is", "France"));
  const auto value = [&] {
    const auto at_layer = sdk::Forward({prompt}).to_layer(1).capture(sdk::mlp_value_site(1));
    return world.model().run(at_layer).captured.at(0).numbers();
  };
  const auto before = value();
  const auto delta = editor.apply({kRequest}).updates.at(0).u.numbers();
  const auto after = value();
  for (std::size_t i = 0; i < delta.size(); ++i) {
    const std::size_t at = lookup * delta.size() + i;
    EXPECT_NEAR(after[at] - before[at], delta[i], 1e-5 + 1e-5 * std::abs(delta[i]));
  }
}

TEST(MyMethod, NamesWhatItEdits) {
  sdk::testing::World world;
  EXPECT_EQ(sdk::testing::Tested<MyMethod>(world, {.layer = 2}).needs().edits_layers, (std::vector<std::int64_t>{2}));
  EXPECT_THROW(sdk::testing::Tested<MyMethod>(world, {.layer = 3}).needs(), sdk::Error);
}

TEST(MyMethod, AFailedCallLeavesTheWeightsAsTheyWere) {
  sdk::testing::World world;
  sdk::testing::Tested<MyMethod> editor(world, {.layer = 1});
  const std::string before = world.weights_digest();
  EXPECT_THROW(editor.apply({kRequest, {"a prompt without a place", "France", "Rome"}}), sdk::Error);
  EXPECT_EQ(world.weights_digest(), before);
}

}  // namespace
}  // namespace my_method
