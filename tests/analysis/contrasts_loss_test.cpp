// Freezing is judged at equal validation loss: which contrasts there are, and which of them counts.
#include "analysis/contrasts_loss.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/contrast_rows.hpp"
#include "analysis/statistics.hpp"

namespace palimpsest::analysis {
namespace {

using ::testing::HasSubstr;

using Freezing = Contrasts;

// Two configurations whose replicates lose facts step by step; `frozen` trains fewer weights and ends at `frozen_loss`.
// The validation losses of `plain` are 3.4, 3.25, 3.1, 3.0 after 0, 5, 8 and 10 steps, plus what each replicate adds.
SampleFile freezing(double frozen_loss, const std::string& policy = "edited_layers", std::int64_t replicates = 1) {
  SampleFile file;
  file.retention();
  for (std::int64_t r = 0; r < replicates; ++r) {
    const double own = replicates == 1 ? 0 : r == 0 ? -0.05 : 0.05;
    const std::string plain = cat("plain,r", r);
    const std::string frozen = cat("frozen,r", r);
    add(file, {plain, r, "plain", "rome", 3.4, 3.0 + own}, {1, 1, 1, 1}, {0, 0, 0, 0}, {1, 1});
    add(file, {frozen, r, "frozen", "rome", 3.4, frozen_loss + own, {}, policy}, {1, 1, 1, 1}, {1, 1, 0, 0}, {1, 1});
    file.answers({plain, 2, "step", 5, r}, "edited", {1, 1, 1, 1});
    file.answers({plain, 2, "step", 8, r}, "edited", {1, 0, 0, 0});
    for (const auto& [step, loss] : {std::pair(0, 3.4), std::pair(5, 3.25), std::pair(8, 3.1), std::pair(10, 3.0)}) {
      file.evaluation({plain, 2, "", step, r}, loss + own);
    }
    file.evaluation({frozen, 2, "", 10, r}, frozen_loss + own);
  }
  return file;
}

TEST_F(Freezing, FreezingIsJudgedAtEqualValidationLoss) {
  const auto table = of(freezing(3.11));
  const auto last = find(table, "frozen", "plain", "edited", "retention");
  EXPECT_FALSE(last.truth("headline"));
  EXPECT_DOUBLE_EQ(last.real("difference"), 0.5);
  EXPECT_EQ(last.text("note"),
            "the validation losses differ by +0.110 nat/token: freezing is judged at equal validation loss");
  const auto equal = find(table, "frozen", "plain", "edited", "retention", "equal validation loss");
  EXPECT_TRUE(equal.truth("headline"));
  EXPECT_EQ(equal.whole("step_a"), 10);
  EXPECT_EQ(equal.text("stage_a"), "finetuned");
  EXPECT_EQ(equal.whole("step_b"), 8);
  EXPECT_EQ(equal.text("stage_b"), "step");
  EXPECT_DOUBLE_EQ(equal.real("value_a"), 0.5);
  EXPECT_DOUBLE_EQ(equal.real("value_b"), 0.25);
  EXPECT_NEAR(equal.real("validation_loss_a"), 3.11, 1e-12);
  EXPECT_NEAR(equal.real("validation_loss_b"), 3.1, 1e-12);
  EXPECT_NEAR(equal.real("validation_loss_difference"), 0.01, 1e-12);
  EXPECT_EQ(equal.text("note"), "");
  EXPECT_THAT(equal.text("sentence"), HasSubstr("frozen, edited facts at step 10: "));
  EXPECT_THAT(equal.text("sentence"), HasSubstr("plain at step 8, at equal validation loss ("));
  EXPECT_EQ(equal.text("baseline"), "edited");
  // The change of the margin too; both are tests of the table.
  EXPECT_TRUE(find(table, "frozen", "plain", "edited", "change", "equal validation loss").truth("headline"));
  EXPECT_EQ(table.values<double>("p_adjusted"), holm_adjusted(table.values<double>("p")));
  // The intrinsic facts were measured at the last step alone.
  EXPECT_FALSE(search(table, "frozen", "plain", "intrinsic", "retention", "equal validation loss").has_value());
  EXPECT_FALSE(find(table, "frozen", "plain", "intrinsic", "retention").truth("headline"));
}

TEST_F(Freezing, FreezingWithoutAPointOfEqualLossStaysOpen) {
  const auto table = of(freezing(3.17));
  EXPECT_FALSE(search(table, "frozen", "plain", "edited", "retention", "equal validation loss").has_value());
  const auto last = find(table, "frozen", "plain", "edited", "retention");
  EXPECT_FALSE(last.truth("headline"));
  EXPECT_EQ(last.text("note"),
            "the validation losses differ by +0.170 nat/token: freezing is judged at equal validation loss, and no "
            "measuring point of plain with an evaluation comes within 0.02 nat/token of the last loss of frozen "
            "(nearest: step 8, -0.070)");
}

TEST_F(Freezing, FreezingThatEndsAtTheSameLossIsJudgedThere) {
  const auto table = of(freezing(3.01));
  const auto last = find(table, "frozen", "plain", "edited", "retention");
  EXPECT_TRUE(last.truth("headline"));
  EXPECT_EQ(last.text("note"), "");
  EXPECT_THAT(last.text("sentence"), HasSubstr("frozen, edited facts at step 10: no detectable difference in "));
  EXPECT_THAT(last.text("sentence"), HasSubstr(" from plain at step 10 ("));
  EXPECT_FALSE(search(table, "frozen", "plain", "edited", "retention", "equal validation loss").has_value());
}

// The one that went lower may be a: its point is then the earlier one.
TEST_F(Freezing, TheSideThatWentLowerIsTakenEarlier) {
  auto file = freezing(2.9);
  file.answers({"frozen,r0", 2, "step", 7}, "edited", {1, 1, 1, 1});
  file.evaluation({"frozen,r0", 2, "", 7}, 3.005);
  const auto table = of(file);
  const auto equal = find(table, "frozen", "plain", "edited", "retention", "equal validation loss");
  EXPECT_EQ(equal.whole("step_a"), 7);
  EXPECT_EQ(equal.whole("step_b"), 10);
  EXPECT_DOUBLE_EQ(equal.real("value_a"), 1);
  EXPECT_DOUBLE_EQ(equal.real("value_b"), 0);
  EXPECT_NEAR(equal.real("validation_loss_difference"), 0.005, 1e-12);
}

TEST_F(Freezing, LossesAreMeansOverReplicatesAndAPointIsOfAllOfThem) {
  const auto table = of(freezing(3.11, "edited_layers", 2));
  const auto equal = find(table, "frozen", "plain", "edited", "retention", "equal validation loss");
  EXPECT_EQ(equal.whole("step_b"), 8);
  EXPECT_EQ(equal.whole("n_replicates"), 2);
  EXPECT_NEAR(equal.real("validation_loss_b"), 3.1, 1e-12);
  EXPECT_NEAR(find(table, "frozen", "plain", "edited", "retention").real("validation_loss_difference"), 0.11, 1e-12);
  // A third replicate of both that was measured at the end only: there is no point that all of them have.
  auto file = freezing(3.11, "edited_layers", 2);
  add(file, {"plain,r2", 2, "plain", "rome", 3.4, 3.0}, {1, 1, 1, 1}, {0, 0, 0, 0}, {1, 1});
  add(file, {"frozen,r2", 2, "frozen", "rome", 3.4, 3.11, {}, "edited_layers"}, {1, 1, 1, 1}, {1, 1, 0, 0}, {1, 1});
  EXPECT_FALSE(search(of(file), "frozen", "plain", "edited", "retention", "equal validation loss").has_value());
  // One that only `frozen` has is not compared, and its loss does not count.
  auto uneven = freezing(3.11, "edited_layers", 2);
  add(uneven, {"frozen,r2", 2, "frozen", "rome", 3.4, 9.0, {}, "edited_layers"}, {1, 1, 1, 1}, {1, 1, 0, 0}, {1, 1});
  const auto shared = of(uneven);
  const auto compared = find(shared, "frozen", "plain", "edited", "retention", "equal validation loss");
  EXPECT_NEAR(compared.real("validation_loss_a"), 3.11, 1e-12);
}

TEST_F(Freezing, OnlyPointsThatWereEvaluatedAndMeasuredCount) {
  // Evaluated after 9 steps at the very loss, and measured nowhere near.
  auto file = freezing(3.17);
  file.evaluation({"plain,r0", 2, "", 9}, 3.17);
  EXPECT_FALSE(search(of(file), "frozen", "plain", "edited", "retention", "equal validation loss").has_value());
  // Measured too, but not all facts.
  file.answers({"plain,r0", 2, "step", 9}, "edited", {1, 1, 1});
  EXPECT_FALSE(search(of(file), "frozen", "plain", "edited", "retention", "equal validation loss").has_value());
  auto whole = freezing(3.17);
  whole.evaluation({"plain,r0", 2, "", 9}, 3.17);
  whole.answers({"plain,r0", 2, "step", 9}, "edited", {1, 1, 1, 0});
  EXPECT_EQ(find(of(whole), "frozen", "plain", "edited", "retention", "equal validation loss").whole("step_b"), 9);
}

TEST_F(Freezing, InScopeIsolatedAllModelsHaveToBeEvaluated) {
  for (const bool all : {false, true}) {
    SampleFile file;
    file.retention();
    for (const std::string name : {"plain", "frozen"}) {
      const std::string cell = name + ",r0";
      const bool frozen = name == "frozen";
      file.cell({cell, 0, name, "rome", 3.4, frozen ? 3.2 : 3.0, {}, frozen ? "edited_layers" : "none"});
      file.answers({cell, 0, "base"}, "intrinsic", {1, 1});
      for (const std::string edit : {"e1", "e2"}) {
        const double own = edit == "e1" ? -0.01 : 0.03;
        file.answers({cell, 1, "edited", 0, 0, edit}, "intrinsic", {1, 1});
        file.answers({cell, 2, "step", 5, 0, edit}, "intrinsic", {1, 0});
        file.answers({cell, 2, "finetuned", 9, 0, edit}, "intrinsic", {0, 0});
        if (all || edit == "e1") file.evaluation({cell, 2, "", 5, 0, edit}, 3.2 + own);
        file.evaluation({cell, 2, "", 9, 0, edit}, frozen ? 3.2 : 3.0);
      }
    }
    const auto table = of(file);
    const auto equal = search(table, "frozen", "plain", "intrinsic", "retention", "equal validation loss");
    ASSERT_EQ(equal.has_value(), all);
    if (equal) {
      EXPECT_NEAR(equal->real("validation_loss_b"), 3.21, 1e-12);
    }
  }
}

TEST_F(Freezing, OnePolicyMayTrainDifferentWeights) {
  for (const bool differs : {false, true}) {
    SampleFile layers;
    layers.cell({"one,r0", 0, "one", "rome", 3.4, 3.0, {}, "edited_layers", "layer 5"});
    layers.cell({"more,r0", 0, "more", "rome", 3.4, 3.0, {}, "edited_layers", differs ? "layers 5 to 8" : "layer 5"});
    const auto measurements = layers.read(folder_);
    const auto configurations = configurations_of(measurements.cells);
    EXPECT_EQ(trains_other_weights(measurements.cells, configurations[0], configurations[1]), differs);
    EXPECT_FALSE(trains_other_weights(measurements.cells, configurations[0], configurations[0]));
  }
  // Without fine-tuning a policy freezes nothing.
  SampleFile file;
  file.cell({"a,r0", 0, "a", "rome", kMissing, kMissing, {}, "none"});
  file.cell({"b,r0", 0, "b", "rome", kMissing, kMissing, {}, "edited_layers"});
  const auto measurements = file.read(folder_);
  const auto configurations = configurations_of(measurements.cells);
  EXPECT_FALSE(trains_other_weights(measurements.cells, configurations[0], configurations[1]));
}

}  // namespace
}  // namespace palimpsest::analysis
