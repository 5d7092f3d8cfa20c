#include <gmock/gmock.h>

#include "base/error.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;
using testing::ElementsAre;
using testing::HasSubstr;

// Names of the frozen parameters.
std::vector<std::string> frozen(const char* id, World& world, const std::vector<plugin::ParameterValue>& values) {
  plugin::FreezePolicy policy(find("freeze-policy", id), world.session(), values);
  const auto decisions = policy.decide(world.model());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    if (decisions[i].frozen) names.push_back(world.model().current.infos()[i].name);
  }
  return names;
}

std::string refusal(const char* id, World& world, const std::vector<plugin::ParameterValue>& values) {
  try {
    frozen(id, world, values);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::vector<std::string> all_of_layer(const World& world, std::int64_t first, std::int64_t last) {
  std::vector<std::string> names;
  for (const auto& info : world.opened().parameters.infos()) {
    if (info.layer >= first && info.layer <= last) names.push_back(info.name);
  }
  return names;
}

TEST(FreezeNone, FreezesNothing) {
  World world;
  EXPECT_TRUE(frozen("none", world, {}).empty());
}

TEST(EditedLayers, FreezesTheLayerOfTheUpdateByDefault) {
  World world;
  EXPECT_EQ(frozen("edited_layers", world, {}), all_of_layer(world, 1, 1));
}

TEST(EditedLayers, HasThreeGranularities) {
  World world;
  EXPECT_THAT(frozen("edited_layers", world, {text("granularity", "matrix")}), ElementsAre("layers.1.mlp.down.weight"));
  EXPECT_THAT(frozen("edited_layers", world, {text("granularity", "mlp")}),
              ElementsAre("layers.1.mlp_norm.weight", "layers.1.mlp.gate.weight", "layers.1.mlp.up.weight",
                          "layers.1.mlp.down.weight"));
  EXPECT_EQ(frozen("edited_layers", world, {text("granularity", "block")}), all_of_layer(world, 1, 1));
}

TEST(EditedLayers, TakesAMargin) {
  World world;
  EXPECT_THAT(frozen("edited_layers", world, {text("granularity", "matrix"), integer("margin", 1)}),
              ElementsAre("layers.0.mlp.down.weight", "layers.1.mlp.down.weight", "layers.2.mlp.down.weight"));
  EXPECT_EQ(frozen("edited_layers", world, {integer("margin", 50)}), all_of_layer(world, 0, 2));
}

// The control freezes what the edited cell freezes.
TEST(EditedLayers, FreezesTheSameInTheUneditedControl) {
  World edited, control(false);
  for (const char* granularity : {"matrix", "mlp", "block"}) {
    EXPECT_EQ(frozen("edited_layers", control, {text("granularity", granularity), integers("layers", {1})}),
              frozen("edited_layers", edited, {text("granularity", granularity)}));
  }
  EXPECT_THAT(refusal("edited_layers", control, {}), HasSubstr("0 recorded updates"));
  EXPECT_THAT(refusal("edited_layers", control, {}), HasSubstr("layers = [...]"));
}

TEST(EditedLayers, LetsLayersOverrideTheUpdates) {
  World world;
  EXPECT_EQ(frozen("edited_layers", world, {integers("layers", {2, 0})}).size(),
            all_of_layer(world, 0, 0).size() + all_of_layer(world, 2, 2).size());
  EXPECT_THAT(refusal("edited_layers", world, {integers("layers", {1, 3})}),
              HasSubstr("layers names layer 3; the model has layers 0 to 2"));
}

TEST(LayerRange, FreezesTheRangeAndWhatIsAskedFor) {
  World world;
  EXPECT_EQ(frozen("layer_range", world, {integer("first", 0), integer("last", 1)}), all_of_layer(world, 0, 1));
  auto wanted = all_of_layer(world, 2, 2);
  wanted.insert(wanted.begin(), "embed.weight");
  wanted.emplace_back("final_norm.weight");
  EXPECT_EQ(frozen("layer_range", world,
                   {integer("first", 2), integer("last", 2), integer("freeze_embedding", 1),
                    integer("freeze_final_norm", 1)}),
            wanted);
}

TEST(LayerRange, RefusesWhatCannotBeMeant) {
  World world;
  EXPECT_THAT(refusal("layer_range", world, {integer("first", 2), integer("last", 1)}), HasSubstr("first is 2"));
  EXPECT_THAT(refusal("layer_range", world, {integer("first", 0), integer("last", 3)}),
              HasSubstr("last is 3; the model has layers 0 to 2"));
  EXPECT_THAT(refusal("layer_range", world, {integer("first", 0), integer("last", 0), integer("freeze_head", 1)}),
              HasSubstr("tied"));
  const auto count = world.opened().parameters.size();
  EXPECT_THAT(refusal("layer_range", world,
                      {integer("first", 0), integer("last", 2), integer("freeze_embedding", 1),
                       integer("freeze_final_norm", 1)}),
              HasSubstr(cat("are ", count, " of ", count, " parameters")));
}

}  // namespace
}  // namespace palimpsest::plugin_tests
