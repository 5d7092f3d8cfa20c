// /contrasts on rows whose differences were worked out by hand.
#include "analysis/contrasts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "analysis/contrast_rows.hpp"
#include "analysis/statistics.hpp"

namespace palimpsest::analysis {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SampleFile three_variants() {
  SampleFile file;
  file.retention();
  const std::vector<double> ones{1, 1, 1, 1};
  add(file, {"plain,r0", 0, "plain", "rome", 3.2, 3.0}, ones, {1, 0, 0, 0}, {1, 1, 0, 0});
  add(file, {"frozen,r0", 0, "frozen", "rome", 3.2, 3.1}, ones, {1, 1, 1, 0}, {1, 1, 0, 1});
  add(file, {"control,r0", 0, "control", "none", 3.2, 3.0}, {0, 0, 0, 0}, {0, 0, 0, 0}, {1, 1, 1, 1});
  return file;
}

TEST_F(Contrasts, PairsTheSameFactsOfTwoVariants) {
  const auto table = of(three_variants());
  EXPECT_NO_THROW(table.check());
  const auto frozen = find(table, "frozen", "plain", "edited", "retention");
  EXPECT_EQ(frozen.text("contrast"), "configurations");
  EXPECT_EQ(frozen.text("differs_in"), "variant");
  EXPECT_EQ(frozen.text("baseline"), "edited");
  EXPECT_TRUE(frozen.truth("paired"));
  EXPECT_DOUBLE_EQ(frozen.real("value_a"), 0.75);
  EXPECT_DOUBLE_EQ(frozen.real("value_b"), 0.25);
  EXPECT_DOUBLE_EQ(frozen.real("difference"), 0.5);
  // Differences 0, 1, 1, 0: two of the four signs of the ones are as extreme.
  EXPECT_DOUBLE_EQ(frozen.real("p"), 0.5);
  EXPECT_EQ(frozen.whole("n_facts_a"), 4);
  EXPECT_EQ(frozen.whole("n_replicates"), 1);
  EXPECT_EQ(frozen.text("interval_levels"), "facts only");
  EXPECT_DOUBLE_EQ(frozen.real("smallest_detectable"), smallest_detectable_paired(4, 0.5));
  EXPECT_NEAR(frozen.real("validation_loss_difference"), 0.1, 1e-12);
  // Nothing is frozen in either: it is said, and counts.
  EXPECT_EQ(frozen.text("note"), "the validation losses differ by +0.100 nat/token");
  EXPECT_TRUE(frozen.truth("headline"));
  EXPECT_EQ(frozen.whole("step_a"), 10);
  EXPECT_EQ(frozen.text("sentence"),
            contrast_sentence({0.5, frozen.real("difference_low"), frozen.real("difference_high"), 4, 1, 0, true},
                              "frozen, edited facts", "plain", "retention", frozen.real("smallest_detectable")));
  // Margins fall from 1 to -1 for each fact that is forgotten.
  const auto margin = find(table, "frozen", "plain", "edited", "change");
  EXPECT_DOUBLE_EQ(margin.real("value_a"), -0.5);
  EXPECT_DOUBLE_EQ(margin.real("value_b"), -1.5);
  EXPECT_DOUBLE_EQ(margin.real("difference"), 1.0);
  // Differences 0, 2, 2, 0: variance 4/3 over 4 facts.
  EXPECT_NEAR(margin.real("smallest_detectable"), 2.8015852 * std::sqrt(1.0 / 3), 1e-6);
}

TEST_F(Contrasts, TheControlHasNoEditedFactsToCompare) {
  const auto table = of(three_variants());
  const auto control = find(table, "plain", "control", "intrinsic", "retention");
  EXPECT_DOUBLE_EQ(control.real("difference"), -0.5);
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const Found found{&table, row};
    const bool has_control = found.text("configuration_a") == "control" || found.text("configuration_b") == "control";
    EXPECT_FALSE(has_control && found.text("role_a") == "edited") << found.text("sentence");
  }
  // frozen against the first and against the control.
  find(table, "frozen", "control", "intrinsic", "retention");
}

TEST_F(Contrasts, AdjustsOverTheWholeTable) {
  const auto table = of(three_variants());
  EXPECT_EQ(table.values<double>("p_adjusted"), holm_adjusted(table.values<double>("p")));
}

TEST_F(Contrasts, ComparesRolesWithinAConfiguration) {
  SampleFile file;
  file.retention();
  // Of two lots: 0 and 1 would be one.
  for (const std::int64_t replicate : {0, 2}) {
    add(file, {cat("r", replicate), replicate, "", "rome", 3.2, 3.0}, {1, 1, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 0},
        {1, 1, 1, 1, 1, 1});
  }
  const auto table = of(file);
  const auto roles = find(table, "default", "default", "edited", "retention");
  EXPECT_EQ(roles.text("contrast"), "roles");
  EXPECT_EQ(roles.text("role_b"), "intrinsic");
  EXPECT_FALSE(roles.truth("paired"));
  EXPECT_DOUBLE_EQ(roles.real("difference"), -1);
  EXPECT_EQ(roles.text("verdict"), "less");
  EXPECT_EQ(roles.text("interval_levels"), "replicates and facts");
  EXPECT_EQ(roles.whole("n_facts_a"), 6);
  EXPECT_EQ(roles.whole("n_replicates"), 2);
  // 2 / C(12, 6)^2 exactly; with 4,000 draws at most a few of them.
  EXPECT_LT(roles.real("p"), 0.002);
  EXPECT_GT(roles.real("p"), 0);
  EXPECT_THAT(roles.text("sentence"), HasSubstr("less retention than intrinsic facts (-1.00"));
  EXPECT_DOUBLE_EQ(roles.real("smallest_detectable"), smallest_detectable_unpaired(6, 6, 0.5));
}

TEST_F(Contrasts, EqualRolesDoNotDiffer) {
  SampleFile file;
  file.retention();
  add(file, {"r0", 0, "", "rome", 3.2, 3.0}, {1, 1, 1, 1}, {1, 0, 1, 0}, {1, 0, 1, 0});
  const auto table = of(file);
  const auto roles = find(table, "default", "default", "edited", "retention");
  EXPECT_EQ(roles.text("verdict"), "no detectable difference");
  EXPECT_DOUBLE_EQ(roles.real("p"), 1);
}

TEST_F(Contrasts, CellsThatFailTheGateStayOutOfTheHeadline) {
  SampleFile file;
  file.retention();
  add(file, {"plain,r0", 0, "plain", "rome", 3.2, 3.0}, {1, 1, 1, 1}, {1, 0, 0, 0}, {1, 1, 0, 0});
  add(file, {"weak,r0", 0, "weak", "rome", 3.2, 3.0}, {1, 0, 0, 0}, {1, 0, 0, 0}, {1, 1, 0, 1});
  const auto table = of(file);
  const auto weak = find(table, "weak", "plain", "edited", "retention");
  EXPECT_FALSE(weak.truth("headline"));
  EXPECT_THAT(weak.text("note"), HasSubstr("weak,r0 failed the quality gate: efficacy 0.25 is below 0.90"));
  // Only e1 held in both at the start: one value has no interval.
  EXPECT_EQ(weak.whole("n_facts_a"), 1);
  EXPECT_EQ(weak.text("verdict"), "not measured");
  EXPECT_TRUE(find(table, "plain", "plain", "edited", "retention").truth("headline"));
}

TEST_F(Contrasts, MissingValuesLeaveTheirFactOut) {
  SampleFile file;
  file.retention();
  add(file, {"plain,r0", 0, "plain"}, {1, 1, 1, 1}, {1, kMissing, 0, 0}, {1, 1});
  add(file, {"frozen,r0", 0, "frozen"}, {1, 1, 1, 1}, {1, 1, 1, kMissing}, {1, 1});
  const auto table = of(file);
  const auto frozen = find(table, "frozen", "plain", "edited", "retention");
  EXPECT_EQ(frozen.whole("n_facts_a"), 2);
  EXPECT_DOUBLE_EQ(frozen.real("difference"), 0.5);
  EXPECT_TRUE(std::isnan(frozen.real("validation_loss_difference")));
}

TEST_F(Contrasts, WithoutFineTuningTheEditItselfIsMeasured) {
  SampleFile file;
  file.retention();
  file.cell({"r0"});
  file.answers({"r0", 0, "base"}, "edited", {0, 0});
  file.answers({"r0", 1, "edited"}, "edited", {1, 1});
  file.answers({"r0", 0, "base"}, "intrinsic", {1, 1});
  file.answers({"r0", 1, "edited"}, "intrinsic", {1, 0});
  const auto table = of(file);
  ASSERT_EQ(table.rows(), 2u);
  const auto roles = find(table, "default", "default", "edited", "retention");
  EXPECT_EQ(roles.text("baseline"), "base");
  EXPECT_EQ(roles.whole("n_facts_a"), 0);
  EXPECT_EQ(roles.text("verdict"), "not measured");
  EXPECT_DOUBLE_EQ(find(table, "default", "default", "edited", "change").real("value_b"), -1);
}

TEST_F(Contrasts, WithoutIntrinsicFactsOrOutcomesThereIsNothingToCompare) {
  SampleFile file;
  file.retention();
  file.cell({"r0"});
  file.answers({"r0", 0, "base"}, "edited", {0, 0});
  file.answers({"r0", 1, "edited"}, "edited", {1, 1});
  EXPECT_EQ(of(file).rows(), 0u);
  SampleFile other;
  other.cell({"r0"});
  other.metric("surprise", {{"height", "mean"}});
  const auto table = of(other);
  EXPECT_EQ(table.rows(), 0u);
  EXPECT_NO_THROW(table.check());
}

TEST_F(Contrasts, InScopeIsolatedAFactCountsOnce) {
  SampleFile file;
  file.retention();
  for (const std::string name : {"plain", "frozen"}) {
    const std::string cell = name + ",r0";
    file.cell({cell, 0, name});
    file.answers({cell, 0, "base"}, "intrinsic", {1, 1});
    for (const std::string edit : {"e1", "e2"}) {
      file.answers({cell, 1, "edited", 0, 0, edit}, "intrinsic", {1, 1});
      file.answers({cell, 2, "finetuned", 9, 0, edit}, "intrinsic", {name == "frozen" || edit == "e1" ? 1.0 : 0.0, 1});
    }
  }
  const auto table = of(file);
  const auto frozen = find(table, "frozen", "plain", "intrinsic", "retention");
  EXPECT_EQ(frozen.whole("n_facts_a"), 2);
  // i1: 1 - 1/2; i2: 0.
  EXPECT_DOUBLE_EQ(frozen.real("difference"), 0.25);
  EXPECT_DOUBLE_EQ(frozen.real("p"), 1);
}

// Edits of a model of their own each, against one model without any.
TEST_F(Contrasts, InScopeIsolatedControlsAreComparedWithThoseOfTheUneditedModel) {
  SampleFile file;
  file.retention();
  file.cell({"rome,r0", 0, "rome"});
  file.cell({"unedited,r0", 0, "unedited", "none"});
  for (const std::string cell : {"rome,r0", "unedited,r0"}) file.answers({cell, 0, "base"}, "intrinsic", {1, 1});
  for (const std::string edit : {"e1", "e2"}) {
    file.answers({"rome,r0", 1, "edited", 0, 0, edit}, "intrinsic", {1, 1});
    file.answers({"rome,r0", 2, "finetuned", 9, 0, edit}, "intrinsic", {edit == "e1" ? 1.0 : 0.0, 0});
  }
  file.answers({"unedited,r0", 1, "edited"}, "intrinsic", {1, 1});
  file.answers({"unedited,r0", 2, "finetuned", 9}, "intrinsic", {1, 1});
  const auto table = of(file);
  const auto row = find(table, "rome", "unedited", "intrinsic", "retention");
  EXPECT_EQ(row.whole("n_facts_a"), 2);
  EXPECT_DOUBLE_EQ(row.real("value_a"), 0.25);
  EXPECT_DOUBLE_EQ(row.real("value_b"), 1);
  EXPECT_DOUBLE_EQ(row.real("difference"), -0.75);
}

// Two replicates that exchange their roles are one lot, and what a fact does in both roles cancels.
TEST_F(Contrasts, AFactThatHasBothRolesIsItsOwnControl) {
  const std::vector<std::string> facts = {"a", "b", "c", "d", "e", "f", "g", "h"};
  const auto table_of = [&](bool exchanges) {
    SampleFile file;
    file.retention();
    for (const std::int64_t replicate : {0, 1}) {
      const std::string name = cat("r", replicate);
      file.cell({name, replicate, "", "rome", 3.2, 3.0});
      for (std::size_t i = 0; i < facts.size(); ++i) {
        const bool first_half = i < facts.size() / 2;
        const bool edited = exchanges && replicate == 1 ? !first_half : first_half;
        // Half of the facts are forgotten, whatever their role.
        const double kept = i % 2 == 0 ? 1.0 : 0.0;
        for (const At& at : {At{name, 1, "edited", 0, replicate}, At{name, 2, "finetuned", 9, replicate}}) {
          const double right = at.ordinal == 1 ? 1.0 : kept;
          file.row("retention", at, facts[i], edited ? "edited" : "intrinsic", {right, 1.0, right, 0.0, ""});
        }
      }
    }
    return of(file);
  };
  const auto with = table_of(true);
  const auto exchanged = find(with, "default", "default", "edited", "retention");
  EXPECT_DOUBLE_EQ(exchanged.real("difference"), 0);
  EXPECT_DOUBLE_EQ(exchanged.real("difference_low"), 0);
  EXPECT_DOUBLE_EQ(exchanged.real("difference_high"), 0);
  EXPECT_DOUBLE_EQ(exchanged.real("p"), 1);
  EXPECT_EQ(exchanged.whole("n_facts_a"), 8);
  EXPECT_EQ(exchanged.whole("n_replicates"), 2);
  EXPECT_EQ(exchanged.text("interval_levels"), "facts only") << "two replicates of one lot";
  const auto without = table_of(false);
  EXPECT_LT(find(without, "default", "default", "edited", "retention").real("difference_low"), -0.3);
}

// A metric of somebody else's: neither its name nor its columns' are known to the program.
TEST_F(Contrasts, AreOfTheOutcomesThatAMetricDeclaresFirst) {
  SampleFile file;
  file.metric("poll", {{"noise", "rate"},
                       {"agrees", "rate", "both"},
                       {"share", "mean"},
                       {"lead", "mean", "none", "none", "nat"},
                       {"agrees_too", "rate", "both"},
                       {"further", "mean", "none", "none", "nat"}});
  file.metric("all_top1_and_margin", {{"all_top1", "rate"}, {"margin", "mean", "none", "none", "nat"}});
  for (const std::string name : {"plain", "frozen"}) {
    const std::string cell = name + ",r0";
    file.cell({cell, 0, name});
    for (const At& at : {At{cell, 0, "base"}, At{cell, 1, "edited"}, At{cell, 2, "finetuned", 9}}) {
      for (const std::string fact : {"e1", "e2", "e3"}) {
        const bool kept = at.ordinal < 2 || name == "frozen" || fact == "e1";
        const double lead = kept ? 2.0 : -1.0;
        const std::vector<double> poll = {0.0, kept ? 1.0 : 0.0, 0.1, lead, 0.0, 7.0};
        file.row("poll", at, fact, "edited", {poll.begin(), poll.end()});
        file.row("all_top1_and_margin", at, fact, "edited", {1.0, 1.0});
      }
    }
  }
  const auto table = of(file);
  ASSERT_EQ(table.rows(), 2U);
  const auto rate = find(table, "frozen", "plain", "edited", "retention");
  EXPECT_EQ(rate.text("metric"), "poll");
  EXPECT_EQ(rate.text("outcome"), "agrees");
  EXPECT_DOUBLE_EQ(rate.real("difference"), 2.0 / 3);
  const auto mean = find(table, "frozen", "plain", "edited", "change");
  EXPECT_EQ(mean.text("outcome"), "lead");
  EXPECT_EQ(mean.text("measure_unit"), "nat");
  EXPECT_DOUBLE_EQ(mean.real("difference"), 2);
  EXPECT_THAT(mean.text("sentence"), HasSubstr("lead kept"));
}

TEST_F(Contrasts, GoByTheBaselineThatTheRateDeclares) {
  for (const std::string baseline : {"base", "edited", "both"}) {
    SampleFile file;
    file.metric("poll", {{"agrees", "rate", baseline}});
    file.cell({"r0"});
    for (const std::string role : {"edited", "intrinsic"}) {
      for (const std::string fact : {"1", "2"}) {
        // The first fact held at base only, the second at edited only.
        file.row("poll", {"r0", 0, "base"}, role + fact, role, {fact == "1" ? 1.0 : 0.0});
        file.row("poll", {"r0", 1, "edited"}, role + fact, role, {fact == "2" ? 1.0 : 0.0});
        file.row("poll", {"r0", 2, "finetuned", 9}, role + fact, role, {fact == "2" ? 1.0 : 0.0});
      }
    }
    const auto table = of(file);
    const auto roles = find(table, "default", "default", "edited", "retention");
    EXPECT_EQ(roles.text("baseline"), baseline == "base" ? "base" : "edited");
    EXPECT_EQ(roles.real("value_a"), baseline == "base" ? 0 : 1) << baseline;
  }
}

// Metrics with both outcomes come first, and the sentences of the others name their rate.
TEST_F(Contrasts, OfSeveralMetricsEachHasItsOwn) {
  SampleFile file;
  file.metric("hits", {{"written", "rate", "both"}, {"rephrased", "mean"}});
  file.retention();
  add(file, {"r0", 0, "", "rome", 3.2, 3.0}, {1, 1}, {1, 0}, {1, 1});
  for (const At& at : {At{"r0", 0, "base"}, At{"r0", 1, "edited"}, At{"r0", 2, "finetuned", 10}}) {
    for (const std::string role : {"edited", "intrinsic"}) {
      for (const std::string fact : {"1", "2"}) file.row("hits", at, role.substr(0, 1) + fact, role, {1.0, 0.5});
    }
  }
  const auto table = of(file);
  EXPECT_THAT(table.values<std::string>("outcome"), ElementsAre("all_top1", "margin", "written"));
  EXPECT_THAT(table.values<std::string>("sentence")[0], HasSubstr(" in retention from intrinsic facts"));
  EXPECT_THAT(table.values<std::string>("sentence")[1], HasSubstr("margin kept"));
  EXPECT_THAT(table.values<std::string>("sentence")[2], HasSubstr(" in retention of written from intrinsic facts"));
}

TEST_F(Contrasts, SweptConfigurationsAreComparedWhereOneCoordinateDiffers) {
  SampleFile file;
  for (const std::string rate : {"1e-4", "1e-3"}) {
    for (const std::string task : {"a", "b"}) {
      file.cell({cat("rate=", rate, ",task=", task, ",r0"),
                 0,
                 "",
                 "rome",
                 kMissing,
                 kMissing,
                 {{"training_learning_rate", rate}, {"task_id", task}}});
    }
  }
  const auto measurements = file.read(folder_);
  const auto configurations = configurations_of(measurements.cells);
  ASSERT_EQ(configurations.size(), 4u);
  EXPECT_EQ(configurations[1].name, "rate=1e-4,task=b");
  EXPECT_THAT(configurations[1].swept, ElementsAre("1e-4", "b"));
  std::vector<std::string> found;
  for (const auto& pair : pairs_of(measurements.cells, configurations)) {
    found.push_back(cat(pair.a, "-", pair.b, " ", pair.differs_in));
  }
  EXPECT_THAT(found, ElementsAre("1-0 at_task_id", "2-0 at_training_learning_rate", "3-1 at_training_learning_rate",
                                 "3-2 at_task_id"));
}

}  // namespace
}  // namespace palimpsest::analysis
