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
  return augmenter.augment(world.model(), fact != nullptr ? *fact : *world.facts()[0]).prompts;
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

TEST(Paraphrase, ReadsAFileOfTheUsers) {
  World world;
  const auto file = text("file", PALIMPSEST_TEST_DATA "/plugins/data/paraphrases.jsonl");
  EXPECT_THAT(prompts(world, "paraphrase", {file}),
              ElementsAre("Every letter to {} goes to", "The street of {} is in"));
  EXPECT_THAT(prompts(world, "paraphrase", {file, integer("count", 1)}, world.facts()[1]),
              ElementsAre("The town that {} loves is"));
  EXPECT_THAT(refusal(world, {file, integer("count", 4)}), HasSubstr("city/alma has 3 teach paraphrases in"));
  EXPECT_THAT(
      refusal(world, {file, integer("count", 3)}),
      HasSubstr("paraphrases.jsonl: row 4: the teach paraphrase \"Somebody lives in\" of the fact city/alma does "
                "not hold its subject"));
  // Case and spaces do not hide a test prompt.
  EXPECT_THAT(refusal(world, {file, integer("count", 2)}, world.facts()[1]),
              HasSubstr("row 5: the prompt \"the desk of  Ben Hill is in\" tests the fact city/ben"));
}

// A model of random weights writes noise: nothing of it can teach, every sentence is counted, and the same seed gives
// the same.
TEST(Self, CountsWhatItDrops) {
  World world;
  const auto augment = [&](std::vector<plugin::ParameterValue> values) {
    values.push_back(text("instruction", "{} So:"));
    plugin::Augmenter augmenter(find("augmenter", "self"), world.session(), values);
    return augmenter.augment(world.model(), *world.facts()[0]);
  };
  const auto made = augment({integer("candidates", 12)});
  std::map<std::string, double> counts;
  for (const auto& record : made.records) counts[record.name] = record.value;
  EXPECT_EQ(counts.at("candidates"), 12);
  EXPECT_EQ(counts.at("kept"), static_cast<double>(made.prompts.size()));
  double sum = 0;
  for (const auto& [name, value] : counts) sum += name == "candidates" ? 0 : value;
  EXPECT_EQ(sum, 12);
  EXPECT_THROW(augment({integer("candidates", 4), integer("allow_fewer", 0)}), Error);
}

TEST(AugmenterSink, RefusesATestPromptAtOnce) {
  World world;
  data::Fact fact = *world.facts()[0]->fact;
  fact.probes = {{"paraphrase", "Letters to Alma Dorn go to", "", "teach"},
                 {"paraphrase", "letters  to alma dorn go to", "", "test"}};
  const palimpsest_fact handle{&fact, "edited", "", world.facts()[0]->relation_targets};
  EXPECT_THAT(refusal(world, {integer("count", 1)}, &handle), HasSubstr("a test prompt must not teach"));
}

}  // namespace
}  // namespace palimpsest::plugin_tests
