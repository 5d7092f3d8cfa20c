// The task's examples and score on the tiny model of palimpsest::testing.
#include "my_method.hpp"

#include <gtest/gtest.h>

#include "palimpsest/sdk/testing.hpp"

namespace my_method {
namespace {

MyMethod::Parameters parameters(const std::string& file) {
  MyMethod::Parameters p;
  p.file = sdk::Path(file.c_str());
  p.given = 5;
  return p;
}

TEST(MyMethod, GivenTokensCarryNoLoss) {
  sdk::testing::World world;
  const std::string file = world.text_file();
  sdk::testing::Tested<MyMethod> task(world, parameters(file));
  task.prepare();
  const auto examples = task.examples(PALIMPSEST_TRAIN);
  ASSERT_FALSE(examples.empty());
  for (const auto& example : examples) {
    ASSERT_EQ(example.labels.size(), example.token_ids.size());
    for (std::size_t t = 0; t < example.labels.size(); ++t) {
      EXPECT_EQ(example.labels[t], t < 5 ? -100 : example.token_ids[t]);
    }
  }
}

TEST(MyMethod, ScoresTheTokensThatFollow) {
  sdk::testing::World world;
  const std::string file = world.text_file();
  sdk::testing::Tested<MyMethod> task(world, parameters(file));
  task.prepare();
  double sum = 0;
  std::int64_t tokens = 0;
  for (const auto& example : task.examples(PALIMPSEST_VALIDATION)) {
    for (std::size_t t = 5; t < example.token_ids.size(); ++t, ++tokens) {
      const std::vector<std::int64_t> before(example.token_ids.begin(),
                                             example.token_ids.begin() + static_cast<std::ptrdiff_t>(t));
      const auto last = static_cast<std::int64_t>(t) - 1;
      const auto result = world.model().run(sdk::Forward({before}).logprobs({{0, last}}, {example.token_ids[t]}));
      sum -= result.logprobs.numbers().at(0);
    }
  }
  const auto rows = task.score();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_NEAR(std::get<double>(rows[0].values.at("continuation_nll")), sum / static_cast<double>(tokens), 1e-4);
}

}  // namespace
}  // namespace my_method
