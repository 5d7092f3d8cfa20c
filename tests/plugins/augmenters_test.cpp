#include <gmock/gmock.h>

#include "base/error.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> prompts(World& world, const char* id, const std::vector<plugin::ParameterValue>& values,
                                 const palimpsest_fact* fact = nullptr) {
  plugin::Augmenter augmenter(find("augmenter", id), world.session(), values);
  return augmenter.augment(world.model(), fact != nullptr ? *fact : *world.facts()[0]);
}

std::string refusal(World& world, const std::vector<plugin::ParameterValue>& values,
                    const palimpsest_fact* fact = nullptr) {
  try {
    prompts(world, "paraphrase", values, fact);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(AugmentNone, AddsNothing) {
  World world;
  EXPECT_THAT(prompts(world, "none", {}), IsEmpty());
}

TEST(Paraphrase, TakesTheFirstTeachParaphrases) {
  World world;
  EXPECT_THAT(prompts(world, "paraphrase", {integer("count", 0)}), IsEmpty());
  EXPECT_THAT(prompts(world, "paraphrase", {integer("count", 1)}), ElementsAre("Letters to {} go to"));
  EXPECT_THAT(prompts(world, "paraphrase", {}), ElementsAre("Letters to {} go to", "You can meet {} in"));
}

// The third paraphrase of the fact is a test prompt: it is never seen.
TEST(Paraphrase, SaysHowManyThereAre) {
  World world;
  const std::string message = refusal(world, {integer("count", 3)});
  EXPECT_THAT(message, HasSubstr("city/alma has 2 teach paraphrases; count asks for 3"));
  EXPECT_THAT(prompts(world, "paraphrase", {integer("count", 3), integer("allow_fewer", 1)}),
              ElementsAre("Letters to {} go to", "You can meet {} in"));
}

TEST(Paraphrase, NamesFactAndPromptWhereTheSubjectIsMissing) {
  World world;
  data::Fact fact = *world.facts()[0]->fact;
  fact.probes = {{"paraphrase", "Somebody lives in", "", "teach"}};
  const palimpsest_fact handle{&fact, "edited", "", world.facts()[0]->relation_targets};
  const std::string message = refusal(world, {integer("count", 1)}, &handle);
  EXPECT_THAT(message,
              HasSubstr("\"Somebody lives in\" of the fact city/alma does not hold its subject \"Alma Dorn\""));
}

}  // namespace
}  // namespace palimpsest::plugin_tests
