#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

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

TEST(LayerRange, HasThreeGranularities) {
  World edited, control(false);
  const auto of = [](World& world, const char* granularity) {
    return frozen("layer_range", world, {integer("first", 1), integer("last", 2), text("granularity", granularity)});
  };
  for (World* world : {&edited, &control}) {
    EXPECT_THAT(of(*world, "matrix"), ElementsAre("layers.1.mlp.down.weight", "layers.2.mlp.down.weight"));
    EXPECT_THAT(of(*world, "mlp"),
                ElementsAre("layers.1.mlp_norm.weight", "layers.1.mlp.gate.weight", "layers.1.mlp.up.weight",
                            "layers.1.mlp.down.weight", "layers.2.mlp_norm.weight", "layers.2.mlp.gate.weight",
                            "layers.2.mlp.up.weight", "layers.2.mlp.down.weight"));
    EXPECT_EQ(of(*world, "block"), all_of_layer(*world, 1, 2));
  }
  // The matrices are those that the edit changed, wherever it did.
  const std::string name = "layers.0.attention.query.weight";
  const model::Parameters& base = edited.model().base;
  edited.model().updates = {model::make_dense(base, name, at::ones_like(base.at(name)))};
  EXPECT_THAT(of(edited, "matrix"), ElementsAre("layers.1.attention.query.weight", "layers.2.attention.query.weight"));
}

TEST(EditedLayers, FreezesWhatBelongsToNoLayerOnRequest) {
  World tied, untied(true, "llama_rope3");
  auto wanted = all_of_layer(tied, 1, 1);
  wanted.insert(wanted.begin(), "embed.weight");
  EXPECT_EQ(frozen("edited_layers", tied, {integer("freeze_embedding", 1)}), wanted);
  wanted = all_of_layer(untied, 1, 1);
  wanted.emplace_back("final_norm.weight");
  wanted.emplace_back("head.weight");
  EXPECT_EQ(frozen("edited_layers", untied, {integer("freeze_final_norm", 1), integer("freeze_head", 1)}), wanted);
}

// Those that belong to no layer, as the policy leaves them by default: tied, then untied.
TEST(UpToEdited, FreezesEverythingThatMakesTheKey) {
  World tied, untied(true, "llama_rope3"), control(false);
  auto wanted = all_of_layer(tied, 0, 1);
  wanted.insert(wanted.begin(), "embed.weight");
  EXPECT_EQ(frozen("up_to_edited", tied, {}), wanted);
  EXPECT_EQ(frozen("up_to_edited", untied, {}), wanted);
  EXPECT_EQ(frozen("up_to_edited", control, {integers("layers", {0, 1})}), wanted);
  EXPECT_THAT(refusal("up_to_edited", control, {}), HasSubstr("layers = [...]"));
  wanted.erase(wanted.begin());
  wanted.emplace_back("head.weight");
  EXPECT_EQ(frozen("up_to_edited", untied, {integer("freeze_embedding", 0), integer("freeze_head", 1)}), wanted);
  EXPECT_THAT(refusal("up_to_edited", tied, {integer("freeze_embedding", 0), integer("freeze_head", 1)}),
              HasSubstr("tied"));
  EXPECT_THAT(refusal("up_to_edited", tied, {integers("layers", {2}), integer("freeze_final_norm", 1)}),
              HasSubstr("some and not all"));
}

TEST(AboveEdited, FreezesWhatReadsTheEdit) {
  World tied, untied(true, "llama_rope3");
  for (World* world : {&tied, &untied}) {
    auto wanted = all_of_layer(*world, 2, 2);
    wanted.emplace_back("final_norm.weight");
    EXPECT_EQ(frozen("above_edited", *world, {}), wanted);
  }
  EXPECT_THAT(frozen("above_edited", tied, {text("granularity", "matrix"), integers("layers", {0})}),
              ElementsAre("layers.1.mlp.down.weight", "layers.2.mlp.down.weight", "final_norm.weight"));
  EXPECT_THAT(frozen("above_edited", untied,
                     {text("granularity", "mlp"), integer("freeze_head", 1), integer("freeze_final_norm", 0)}),
              ElementsAre("layers.2.mlp_norm.weight", "layers.2.mlp.gate.weight", "layers.2.mlp.up.weight",
                          "layers.2.mlp.down.weight", "head.weight"));
  EXPECT_THAT(refusal("above_edited", tied, {integer("freeze_head", 1)}), HasSubstr("tied"));
  EXPECT_THAT(refusal("above_edited", tied, {integers("layers", {2}), integer("freeze_final_norm", 0)}),
              HasSubstr("freezes 0 of"));
}

// At every granularity it trains what edited_layers freezes.
TEST(EverythingButEdited, IsTheOppositeOfEditedLayers) {
  for (const char* checkpoint : {"llama_tied", "llama_rope3"}) {
    World world(true, checkpoint);
    for (const char* granularity : {"matrix", "mlp", "block"}) {
      const auto kept = frozen("edited_layers", world, {text("granularity", granularity)});
      std::vector<std::string> wanted;
      for (const auto& info : world.opened().parameters.infos()) {
        if (std::find(kept.begin(), kept.end(), info.name) == kept.end()) wanted.push_back(info.name);
      }
      EXPECT_EQ(frozen("everything_but_edited", world, {text("granularity", granularity)}), wanted) << granularity;
    }
  }
  World tied, control(false);
  const auto all = frozen("everything_but_edited", tied, {});
  EXPECT_EQ(frozen("everything_but_edited", tied, {integer("train_embedding", 1)}).size(), all.size() - 1);
  EXPECT_THAT(refusal("everything_but_edited", tied, {integer("train_head", 1)}), HasSubstr("tied"));
  EXPECT_THAT(refusal("everything_but_edited", control, {}), HasSubstr("0 recorded updates"));
}

std::int64_t numbers_in(const World& world, const std::vector<std::string>& names) {
  std::int64_t numbers = 0;
  for (const auto& name : names) numbers += world.opened().parameters.at(name).numel();
  return numbers;
}

TEST(RandomLayers, FreezesAsMuchElsewhere) {
  std::set<std::vector<std::string>> draws;
  for (const char* granularity : {"matrix", "mlp", "block"}) {
    World world;
    const auto edited = frozen("edited_layers", world, {text("granularity", granularity)});
    const auto drawn = frozen("random_layers", world, {text("granularity", granularity)});
    EXPECT_EQ(numbers_in(world, drawn), numbers_in(world, edited)) << granularity;
    for (const auto& name : drawn) {
      EXPECT_EQ(std::find(edited.begin(), edited.end(), name), edited.end()) << name;
    }
    EXPECT_EQ(frozen("random_layers", world, {text("granularity", granularity)}), drawn);
  }
  // Other seeds draw other layers; here there are two to draw from.
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    World world;
    auto session = std::make_shared<plugin::Session>(*world.session());
    session->seed = seed;
    plugin::FreezePolicy policy(find("freeze-policy", "random_layers"), session, {});
    const auto decisions = policy.decide(world.model());
    std::vector<std::string> names;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      if (decisions[i].frozen) names.push_back(world.model().current.infos()[i].name);
    }
    draws.insert(names);
  }
  EXPECT_EQ(draws.size(), 2U);
}

TEST(RandomLayers, RefusesWhatIsNoControl) {
  World world, control(false);
  EXPECT_THAT(refusal("random_layers", world, {integer("margin", 1)}), HasSubstr("0 others are left"));
  EXPECT_THAT(refusal("random_layers", control, {}), HasSubstr("0 recorded updates"));
  EXPECT_EQ(frozen("random_layers", control, {integers("layers", {1})}), frozen("random_layers", world, {}));
  model::Update& update = world.model().updates.front();
  update = model::make_dense(world.model().base, "final_norm.weight", at::ones({world.opened().config.hidden}));
  EXPECT_THAT(refusal("random_layers", world, {}), HasSubstr("belongs to no layer"));
}

std::vector<std::string> of_roles(const World& world, const char* beginning) {
  std::vector<std::string> names;
  for (const auto& info : world.opened().parameters.infos()) {
    if (model::name_of(info.role).starts_with(beginning)) names.push_back(info.name);
  }
  return names;
}

TEST(AttentionOnlyAndMlpOnly, FreezeOneKindOfEveryLayer) {
  for (const char* checkpoint : {"llama_tied", "llama_rope3"}) {
    World edited(true, checkpoint), control(false, checkpoint);
    for (World* world : {&edited, &control}) {
      EXPECT_EQ(frozen("attention_only", *world, {}), of_roles(*world, "attention"));
      EXPECT_EQ(frozen("mlp_only", *world, {}), of_roles(*world, "mlp"));
    }
  }
  World tied;
  EXPECT_EQ(frozen("mlp_only", tied, {integer("freeze_embedding", 1)}).size(), of_roles(tied, "mlp").size() + 1);
  EXPECT_THAT(refusal("attention_only", tied, {integer("freeze_head", 1)}), HasSubstr("tied"));
}

// The projections of the edited matrix.
std::vector<plugin::Projection> projected(World& world, const std::vector<plugin::ParameterValue>& values) {
  plugin::FreezePolicy policy(find("freeze-policy", "edited_directions"), world.session(), values);
  const auto decisions = policy.decide(world.model());
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    const bool edited = world.model().current.infos()[i].name == world.model().updates.front().parameter;
    EXPECT_FALSE(decisions[i].frozen);
    EXPECT_TRUE(edited || decisions[i].projections.empty());
  }
  return decisions[world.model().current.index(world.model().updates.front().parameter)].projections;
}

// The part of `vectors` [n, r] that lies outside of the span of the basis.
double outside(const at::Tensor& basis, const at::Tensor& vectors) {
  const at::Tensor q = basis.to(at::kDouble), x = vectors.to(at::kDouble);
  return (x - q.mm(q.t().mm(x))).norm().item<double>() / x.norm().item<double>();
}

TEST(EditedDirections, ProjectsTheSpanOfTheUpdates) {
  World world;
  const model::Update& update = world.model().updates.front();
  const auto out = projected(world, {}), in = projected(world, {text("side", "in")});
  ASSERT_EQ(out.size(), 1U);
  ASSERT_EQ(in.size(), 1U);
  EXPECT_EQ(out[0].side, PALIMPSEST_SIDE_OUT);
  EXPECT_EQ(in[0].side, PALIMPSEST_SIDE_IN);
  EXPECT_EQ(out[0].basis.sizes(), (std::vector<std::int64_t>{world.opened().config.hidden, 1}));
  EXPECT_LT(outside(out[0].basis, update.u), 1e-6);
  EXPECT_LT(outside(in[0].basis, update.v), 1e-6);
  EXPECT_EQ(projected(world, {text("side", "both")}).size(), 2U);

  // A second update of the same matrix, much weaker, with a direction of the first one again.
  const at::Tensor u = at::stack({update.u.squeeze(1), 1e-4 * at::linspace(2, 0, update.u.size(0)).square()}, 1);
  world.model().updates.push_back(
      model::make_low_rank(world.model().base, update.parameter, u, at::eye(update.v.size(0)).narrow(1, 0, 2)));
  const auto both = projected(world, {});
  EXPECT_EQ(both[0].basis.size(1), 2);
  EXPECT_LT(outside(both[0].basis, u.select(1, 1).unsqueeze(1)), 1e-5);
}

TEST(EditedDirections, KeepsTheLeadingDirectionsOfADenseUpdate) {
  World world;
  at::manual_seed(5);
  const std::string name = world.model().updates.front().parameter;
  const std::int64_t rows = world.opened().config.hidden, columns = world.opened().config.mlp_width;
  const at::Tensor left = std::get<0>(at::linalg_qr(at::randn({rows, 3}))),
                   right = std::get<0>(at::linalg_qr(at::randn({columns, 3})));
  // Squared singular values 0.64, 0.32, 0.04 of the whole.
  const at::Tensor delta = left.mm(at::diag(at::tensor({0.8, 0.5656854, 0.2}, at::kFloat))).mm(right.t());
  world.model().updates = {model::make_dense(world.model().base, name, delta)};
  const auto out = projected(world, {}), in = projected(world, {text("side", "in")});
  EXPECT_EQ(out[0].basis.size(1), 2);
  EXPECT_LT(outside(out[0].basis, left.narrow(1, 0, 2)), 1e-5);
  EXPECT_EQ(in[0].basis.size(1), 2);
  EXPECT_LT(outside(in[0].basis, right.narrow(1, 0, 2)), 1e-5);
  plugin::ParameterValue all;
  all.name = "dense_energy";
  all.number = 1;
  EXPECT_EQ(projected(world, {all})[0].basis.size(1), 3);
  world.model().updates = {model::make_dense(world.model().base, name, at::randn({rows, columns}))};
  EXPECT_THAT(refusal("edited_directions", world, {all}), HasSubstr("span all 32 directions"));
}

TEST(EditedDirections, RefusesWhereThereAreNone) {
  World world, control(false);
  EXPECT_THAT(refusal("edited_directions", control, {}), HasSubstr("0 recorded updates"));
  world.model().updates = {
      model::make_dense(world.model().base, "final_norm.weight", at::ones({world.opened().config.hidden}))};
  EXPECT_THAT(refusal("edited_directions", world, {}), HasSubstr("is no matrix"));
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
              HasSubstr(cat("freezes ", count, " of ", count, " parameters")));
}

}  // namespace
}  // namespace palimpsest::plugin_tests
