// What a model is asked: which of equally probable tokens counts as the one that it says.
#include "experiment/probe.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.hpp"

namespace palimpsest::experiment {
namespace {

// An embedding of zeros, which is the head too, makes all logits 0: greedy generation takes the token with the id 0.
TEST(Probe, OfEqualLogitsTheLowestIdIsTheGreedyOne) {
  const model::Model model =
      model::open_model(std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "rome" / "model");
  ASSERT_TRUE(model.config.tied_head);
  const model::Parameters flat =
      model.parameters.with("embed.weight", at::zeros_like(model.parameters.at("embed.weight")));
  const std::vector<std::string> targets = {"Paris", "the north", "Rome"};
  const auto answers = ask(model, flat, {{"The capital of France is", targets}, {"The king lives in", targets}});
  ASSERT_EQ(answers.size(), 2U);
  for (const auto& row : answers) {
    ASSERT_EQ(row.size(), targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const std::vector<std::int64_t> ids = model.tokenizer->encode_target(targets[i]).ids;
      ASSERT_GT(ids.front(), 0);
      EXPECT_FALSE(row[i].all_top1) << targets[i];
      EXPECT_EQ(row[i].margin, 0);
      const double each = -std::log(static_cast<double>(model.config.vocabulary));
      EXPECT_NEAR(row[i].logp, each * static_cast<double>(ids.size()), 1e-5 * static_cast<double>(ids.size()));
    }
  }
}

}  // namespace
}  // namespace palimpsest::experiment
