// Every freeze policy of the build through the host's own loop: what it froze has the same bytes afterwards, what it
// projected stays out of its directions, and everything else moves; in a model of every family, with the weights
// themselves and with adapters.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "base/error.hpp"
#include "plugins/support.hpp"
#include "training/loop.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;
using training::TuningMethod;

std::vector<std::string> policies() { return registry().ids(PALIMPSEST_KIND_FREEZE_POLICY); }

std::vector<training::Decision> decide(const std::string& id, World& world,
                                       const std::vector<plugin::ParameterValue>& more = {}) {
  const plugin::Plugin found = find("freeze-policy", id.c_str());
  auto values = conformance::plausible_values(*found.descriptor, world.folder());
  values.insert(values.end(), more.begin(), more.end());
  std::vector<training::Decision> decisions;
  for (const auto& made : plugin::FreezePolicy(found, world.session(), values).decide(world.model())) {
    training::Decision& decision = decisions.emplace_back(training::Decision{made.frozen, {}});
    for (const auto& p : made.projections) {
      decision.projections.push_back(
          {p.side == PALIMPSEST_SIDE_OUT ? training::Side::kOut : training::Side::kIn, p.basis});
    }
  }
  return decisions;
}

training::TrainingResult train(World& world, const std::vector<training::Decision>& decisions, TuningMethod method,
                               std::vector<std::string> targets = {"attention_query", "attention_value", "mlp_down"}) {
  training::TrainingData data;
  for (std::int64_t row = 0; row < 8; ++row) {
    training::Example& example = data.train.emplace_back();
    for (std::int64_t t = 0; t < 12; ++t) example.token_ids.push_back(5 + (7 * row + 3 * t) % 90);
  }
  training::TrainingOptions options;
  options.tuning = {method, 2, 4, 0, training::parse_targets(targets)};
  options.adamw = {.weight_decay = 1.0};
  options.schedule = {training::ScheduleKind::kConstant, 1e-2, 0};
  options.batch_size = 2;
  options.max_steps = 6;
  return training::train(world.opened().config, world.model().current, data, decisions, options, 3);
}

bool equal_bytes(const at::Tensor& a, const at::Tensor& b) {
  return std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

class EveryPolicy : public testing::TestWithParam<std::string> {};

TEST_P(EveryPolicy, HoldsThroughTrainingWithWeightDecay) {
  for (const std::string& checkpoint : conformance::every_family()) {
    World world(true, checkpoint);
    const model::Parameters& before = world.model().current;
    const auto decisions = decide(GetParam(), world);
    const auto after = train(world, decisions, TuningMethod::kFull).parameters;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      const std::string& name = before.infos()[i].name;
      EXPECT_EQ(equal_bytes(after[i], before[i]), decisions[i].frozen) << checkpoint << " " << name;
      if (decisions[i].projections.empty()) continue;
      const training::DisplacementGuard guard(name, before[i], decisions[i].projections);
      EXPECT_LE(guard.leaked_share(after[i]), 1e-6) << checkpoint << " " << name;
    }
  }
}

TEST_P(EveryPolicy, DecidesWhichAdaptersThereAre) {
  for (const TuningMethod method : {TuningMethod::kLora, TuningMethod::kDora}) {
    World world;
    const model::Parameters& before = world.model().current;
    const auto decisions = decide(GetParam(), world);
    bool projects = false;
    for (const auto& decision : decisions) projects = projects || !decision.projections.empty();
    if (projects) {
      try {
        train(world, decisions, method);
        ADD_FAILURE() << "a projected adapter was accepted";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
        EXPECT_THAT(error.what(), testing::HasSubstr("layers.1.mlp.down.weight"));
        EXPECT_THAT(error.what(), testing::HasSubstr(std::string(training::name_of(method))));
      }
      // Without an adapter there, the matrix does not move at all, and the projection is exact.
      const auto after = train(world, decisions, method, {"attention_query"}).parameters;
      EXPECT_TRUE(equal_bytes(after.at("layers.1.mlp.down.weight"), before.at("layers.1.mlp.down.weight")));
      EXPECT_FALSE(
          equal_bytes(after.at("layers.0.attention.query.weight"), before.at("layers.0.attention.query.weight")));
      continue;
    }
    const auto after = train(world, decisions, method).parameters;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      const auto role = before.infos()[i].role;
      const bool target = role == model::ParameterRole::kAttentionQuery ||
                          role == model::ParameterRole::kAttentionValue || role == model::ParameterRole::kMlpDown;
      EXPECT_EQ(!equal_bytes(after[i], before[i]), target && !decisions[i].frozen) << before.infos()[i].name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Plugins, EveryPolicy, testing::ValuesIn(policies()),
                         [](const auto& test) { return test.param; });

// Without the policy the same training would lead into the directions: what the one above holds is not trivial.
TEST(EditedDirectionsInTraining, IsWhatKeepsTheDisplacementOut) {
  World world;
  const std::string& name = world.model().updates.front().parameter;
  const std::size_t place = world.model().current.index(name);
  for (const char* side : {"out", "in", "both"}) {
    const auto decisions = decide("edited_directions", world, {text("side", side)});
    const training::DisplacementGuard guard(name, world.model().current[place], decisions[place].projections);
    EXPECT_GT(guard.leaked_share(train(world, decide("none", world), TuningMethod::kFull).parameters[place]), 1e-2);
    EXPECT_LE(guard.leaked_share(train(world, decisions, TuningMethod::kFull).parameters[place]), 1e-6);
  }
}

}  // namespace
}  // namespace palimpsest::plugin_tests
