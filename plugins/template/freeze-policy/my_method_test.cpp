// The policy's decisions on the tiny model of palimpsest::testing, which has three layers.
#include "my_method.hpp"

#include <gtest/gtest.h>

#include "palimpsest/sdk/testing.hpp"

namespace my_method {
namespace {

TEST(MyMethod, FreezesTheFirstLayersAndTheEmbeddings) {
  sdk::testing::World world;
  sdk::testing::Tested<MyMethod> policy(world, {.layers = 2});
  int embeddings = 0;
  for (const auto& decision : policy.decide()) {
    const std::string& name = decision.parameter;
    const bool embedding = name.starts_with("embed");
    embeddings += embedding ? 1 : 0;
    EXPECT_EQ(decision.frozen, embedding || name.starts_with("layers.0.") || name.starts_with("layers.1.")) << name;
  }
  EXPECT_GT(embeddings, 0);
}

TEST(MyMethod, LeavesALayerToTrain) {
  sdk::testing::World world;
  sdk::testing::Tested<MyMethod> policy(world, {.layers = 3});
  EXPECT_THROW(policy.decide(), sdk::Error);
}

}  // namespace
}  // namespace my_method
