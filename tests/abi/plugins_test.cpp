// Plugins in C, of tier `stable`, and of tier `none` without libtorch in sight, on the tiny world.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "conformance/world.hpp"
#include "plugin/instance.hpp"
#include "support/parameters.hpp"

namespace palimpsest {
namespace {

using conformance::World;
using testing::Pair;
using testing::UnorderedElementsAre;

plugin::Plugin find(const char* folder, const char* kind, const char* id) {
  plugin::HostBuild host;
  host.torch_tag = PALIMPSEST_TEST_TORCH_TAG;
  host.torch_version = PALIMPSEST_TEST_TORCH_VERSION;
  return plugin::Registry({folder}, host).find(kind, id);
}

// Every service that the design lists, with the number of its functions: a table is nothing but function pointers.
#define SERVICE(id, table) Pair(std::string(id), static_cast<std::int64_t>(sizeof(table) / sizeof(void (*)())))

TEST(EveryService, IsAskedFunctionByFunctionByAPluginInC) {
  World world;
  plugin::Metric metric(find(PALIMPSEST_TEST_ABI_PLUGINS, "metric", "every_service"), world.session(),
                        {text("file", (conformance::data_folder() / "text.txt").string())});
  std::map<std::string, std::int64_t> functions;
  for (const auto& row : metric.measure(world.model(), {1, "edited", 0}, world.facts())) {
    functions[row.values.at(0).text] = row.values.at(1).integer;
  }
  EXPECT_THAT(
      functions,
      UnorderedElementsAre(
          SERVICE("tensor/1", palimpsest_tensor_v1), SERVICE("model/1", palimpsest_model_v1),
          SERVICE("autograd/1", palimpsest_autograd_v1), SERVICE("generation/1", palimpsest_generation_v1),
          SERVICE("tokenizer/1", palimpsest_tokenizer_v1), SERVICE("fact/1", palimpsest_fact_v1),
          SERVICE("parameters/1", palimpsest_parameters_v1), SERVICE("update-origin/1", palimpsest_update_origin_v1),
          SERVICE("dataset/1", palimpsest_dataset_v1), SERVICE("second-moment/1", palimpsest_second_moment_v1),
          SERVICE("store/1", palimpsest_store_v1), SERVICE("log/1", palimpsest_log_v1),
          SERVICE("progress/1", palimpsest_progress_v1), SERVICE("cancel/1", palimpsest_cancel_v1),
          SERVICE("random/1", palimpsest_random_v1), SERVICE("error/1", palimpsest_error_v1)));
}

plugin::EditRequest request_of(const World& world) {
  const data::Fact& fact = *world.facts().front()->fact;
  return {world.facts().front(), fact.prompt, fact.subject, fact.target_new, PALIMPSEST_PROMPT_OWN};
}

const std::string kWeight = "layers.1.mlp.down.weight";

// state/1: what a second edit does depends on the first, in this process or, by save and load, in another.
TEST(EditorInC, HasStateThatGoesOnWhereItWasSaved) {
  World world;
  const plugin::Plugin shrink = find(PALIMPSEST_TEST_ABI_PLUGINS, "editor", "shrink");
  const std::vector<plugin::EditRequest> requests = {request_of(world)};
  const at::Tensor before = world.model().current.at(kWeight).clone();
  plugin::Editor first(shrink, world.session(), {});
  ASSERT_TRUE(first.has_state());
  EXPECT_EQ(first.needs(world.info()).edits_layers, (std::vector<std::int64_t>{1}));
  first.reset();
  first.apply(world.model(), requests);
  // 1/8 is a power of two: exact in every dtype.
  EXPECT_TRUE(at::equal(world.model().current.at(kWeight), before * 0.875));
  const auto state = first.save();
  ASSERT_EQ(state.size(), 1U);
  EXPECT_EQ(state.front().name, "applied");

  plugin::Editor second(shrink, world.session(), {});
  second.reset();
  second.load(state);
  const auto result = second.apply(world.model(), requests);
  ASSERT_EQ(result.records.size(), 1U);
  EXPECT_EQ(result.records.front().value, 0.0625);
  EXPECT_TRUE(at::equal(world.model().current.at(kWeight), before * 0.875 * 0.9375));
  EXPECT_THROW(second.load({}), Error);
}

TEST(EditorOfTierStable, ComputesByTorchsShim) {
  World world;
  const at::Tensor before = world.model().current.at(kWeight).clone();
  plugin::Editor editor(find(PALIMPSEST_TEST_ABI_PLUGINS, "editor", "stable_shrink"), world.session(), {});
  EXPECT_EQ(editor.plugin().library->note().tier, "stable");
  const auto result = editor.apply(world.model(), std::vector<plugin::EditRequest>{request_of(world)});
  EXPECT_TRUE(at::equal(world.model().current.at(kWeight), before * 0.875));
  ASSERT_EQ(result.updates.size(), 2U);
  EXPECT_EQ(result.updates.back().rank(), 1);
}

TEST(MetricOfTierNone, BuiltWithoutLibtorchInSightMeasures) {
  World world;
  plugin::Metric metric(find(PALIMPSEST_TEST_ALONE, "metric", "first_token"), world.session(), {});
  EXPECT_EQ(metric.plugin().library->note().tier, "none");
  const auto rows = metric.measure(world.model(), {1, "edited", 0}, world.facts());
  EXPECT_GE(rows.size(), 2 * world.facts().size());
}

// A value that cannot follow from its key is refused while it is computed, not stored.
TEST(Store, RefusesWhatItsKeyDoesNotCover) {
  World world;
  palimpsest_model& model = world.model();
  model.store_scope = 0;
  EXPECT_THROW(model.at(PALIMPSEST_STAGE_CURRENT), Error);
  EXPECT_NO_THROW(model.at(PALIMPSEST_STAGE_BASE));
  model.store_scope = PALIMPSEST_STORE_ON_WEIGHTS;
  EXPECT_NO_THROW(model.at(PALIMPSEST_STAGE_EDITED));
  EXPECT_THROW(plugin::refuse_in_compute(0U, PALIMPSEST_STORE_ON_SEED, "random/1"), Error);
  EXPECT_THROW(plugin::refuse_in_compute(PALIMPSEST_STORE_ON_SEED, 0, "dataset/1"), Error);
  EXPECT_NO_THROW(plugin::refuse_in_compute(std::nullopt, 0, "dataset/1"));
}

// The key that a request gets for the model as it is now.
plugin::StoreKey key_of(World& world, palimpsest_store_dependence depends_on) {
  plugin::StoreKey asked;
  auto session = std::make_shared<plugin::Session>(*world.session());
  session->get_or_compute = [&](const plugin::StoreKey& key, bool, const std::function<plugin::StoreEntry()>& compute) {
    asked = key;
    return compute();
  };
  plugin::HostContext context;
  context.session = session;
  context.label = "editor of the test";
  context.host = {&context, PALIMPSEST_ABI_MAJOR, PALIMPSEST_ABI_MINOR, nullptr};
  palimpsest_store_request request{};
  request.key = plugin::text_of("value");
  request.depends_on = depends_on;
  request.compute = [](void*, const palimpsest_store_sink*) -> palimpsest_status { return PALIMPSEST_OK; };
  const palimpsest_store_sink nothing{nullptr, nullptr, nullptr};
  const auto* store = static_cast<const palimpsest_store_v1*>(plugin::find_service(PALIMPSEST_STORE_1));
  EXPECT_EQ(store->get_or_compute(&context.host, &world.model(), &request, &nothing), PALIMPSEST_OK);
  EXPECT_FALSE(asked.empty());
  return asked;
}

TEST(Store, AddressesByWeightsOnlyWhatDependsOnThem) {
  World world, twin;
  const auto plain = key_of(world, 0), on_weights = key_of(world, PALIMPSEST_STORE_ON_WEIGHTS);
  EXPECT_NE(plain, on_weights);
  EXPECT_EQ(key_of(twin, PALIMPSEST_STORE_ON_WEIGHTS), on_weights) << "the same weights in other memory";
  palimpsest_model& model = world.model();
  model.current = model.current.with(kWeight, model.current.at(kWeight) * 0.5);
  EXPECT_EQ(key_of(world, 0), plain);
  EXPECT_NE(key_of(world, PALIMPSEST_STORE_ON_WEIGHTS), on_weights);
  EXPECT_NE(key_of(world, PALIMPSEST_STORE_ON_SEED), plain);
}

// What compute or the receiver returns is what the caller gets, and its sentence stands.
TEST(Store, GivesTheStatusOfThePluginsOwnFunctions) {
  World world;
  plugin::HostContext context;
  context.session = world.session();
  context.host = {&context, PALIMPSEST_ABI_MAJOR, PALIMPSEST_ABI_MINOR, nullptr};
  const auto* store = static_cast<const palimpsest_store_v1*>(plugin::find_service(PALIMPSEST_STORE_1));
  palimpsest_store_request request{};
  request.key = plugin::text_of("value");
  request.compute = [](void*, const palimpsest_store_sink*) -> palimpsest_status {
    plugin::set_last_error("the parrot refuses");
    return PALIMPSEST_NUMERIC;
  };
  const palimpsest_store_sink nothing{nullptr, nullptr, nullptr};
  EXPECT_EQ(store->get_or_compute(&context.host, &world.model(), &request, &nothing), PALIMPSEST_NUMERIC);
  EXPECT_EQ(plugin::last_error(), "the parrot refuses");
  EXPECT_FALSE(context.store_scope.has_value());
  // A name twice is no content.
  request.compute = [](void*, const palimpsest_store_sink* content) -> palimpsest_status {
    const palimpsest_text name = plugin::text_of("a");
    const palimpsest_status first = content->text(content->context, name, name);
    return first != PALIMPSEST_OK ? first : content->text(content->context, name, name);
  };
  EXPECT_EQ(store->get_or_compute(&context.host, &world.model(), &request, &nothing), PALIMPSEST_INVALID_ARGUMENT);
  request.key = plugin::text_of("");
  EXPECT_EQ(store->get_or_compute(&context.host, &world.model(), &request, &nothing), PALIMPSEST_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace palimpsest
