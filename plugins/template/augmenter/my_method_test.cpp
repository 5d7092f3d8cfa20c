// The augmenter through the contract, on the tiny model of palimpsest::testing.
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

TEST(MyMethod, PutsEachOpeningBeforeThePrompt) {
  sdk::testing::World world;
  sdk::testing::Tested<MyMethod> augmenter(world, {.openings = {"First.", "Then."}});
  EXPECT_EQ(augmenter.augment(fact()),
            (std::vector<std::string>{"First. The capital of {} is", "Then. The capital of {} is"}));
}

TEST(MyMethod, RefusesAnOpeningWithAPlaceForTheSubject) {
  sdk::testing::World world;
  sdk::testing::Tested<MyMethod> augmenter(world, {.openings = {"Of {}:"}});
  EXPECT_THROW(augmenter.augment(fact()), sdk::Error);
}

}  // namespace
}  // namespace my_method
