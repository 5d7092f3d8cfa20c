// /quality_gate on rows whose answers were worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/sample_file.hpp"
#include "analysis/statistics.hpp"
#include "analysis/summary.hpp"
#include "support/scratch.hpp"

namespace palimpsest::analysis {
namespace {

using results::Bool;
using ::testing::HasSubstr;

class QualityGate : public Scratch {};

// The gate's columns have names that the program has never heard of.
SampleFile gated(double efficacy, double neighbourhood, double perplexity) {
  SampleFile file;
  file.cell({"r0"});
  file.metric("hits", {{"written", "rate", "both", "efficacy"}, {"spared", "mean", "none", "neighbourhood"}});
  file.metric("confusion", {{"height", "mean", "none", "perplexity"}});
  file.row("hits", {"r0", 0, "base"}, "e1", "edited", {0.0, 1.0});
  file.row("hits", {"r0", 1, "edited"}, "e1", "edited", {efficacy, neighbourhood});
  file.row("confusion", {"r0", 0, "base"}, "", "", {20.0});
  file.row("confusion", {"r0", 1, "edited"}, "", "", {perplexity});
  return file;
}

TEST_F(QualityGate, FailsEachLimitAndSaysWhich) {
  struct Case {
    double efficacy, neighbourhood, perplexity;
    std::string reason;
  };
  for (const Case& c : {Case{1.0, 0.9, 20.5, ""}, Case{0.8, 0.9, 20.5, "efficacy 0.80 is below 0.90"},
                        Case{1.0, 0.8, 20.5, "neighbourhood loss 0.20 is above 0.15"},
                        Case{1.0, 0.9, 22.0, "perplexity rose by 10.00 %, more than 5 %"}}) {
    const auto table = quality_gate(gated(c.efficacy, c.neighbourhood, c.perplexity).read(folder_));
    ASSERT_EQ(table.rows(), 1u);
    EXPECT_EQ(bool(table.values<Bool>("passed")[0]), c.reason.empty());
    EXPECT_EQ(table.values<std::string>("reason")[0], c.reason);
    EXPECT_EQ(table.values<std::string>("efficacy_source")[0], "hits.written");
    EXPECT_EQ(table.values<std::string>("neighbourhood_source")[0], "hits.spared");
    EXPECT_EQ(table.values<std::string>("perplexity_source")[0], "confusion.height");
    EXPECT_NEAR(table.values<double>("neighbourhood_loss")[0], 1 - c.neighbourhood, 1e-12);
    EXPECT_NEAR(table.values<double>("perplexity_rise")[0], c.perplexity / 20 - 1, 1e-12);
  }
}

// What a fine-tuning before the edit did is not the edit's doing.
TEST_F(QualityGate, ComparesWithTheModelThatTheEditIsMadeIn) {
  SampleFile file;
  file.cell({"r0"});
  file.metric("confusion", {{"height", "mean", "none", "perplexity"}});
  file.row("confusion", {"r0", 0, "base"}, "", "", {20.0});
  file.row("confusion", {"r0", 1, "finetuned", 9}, "", "", {26.0});
  file.row("confusion", {"r0", 2, "edited"}, "", "", {26.13});
  const auto table = quality_gate(file.read(folder_));
  EXPECT_NEAR(table.values<double>("perplexity_rise")[0], 0.005, 1e-12);
  EXPECT_TRUE(bool(table.values<Bool>("passed")[0]));
}

// 1 - 0.85 is a bit more than 0.15 in binary.
TEST_F(QualityGate, ItsLimitsThemselvesPass) {
  const auto table = quality_gate(gated(0.9, 1 - 0.15, 21.0).read(folder_));
  EXPECT_TRUE(bool(table.values<Bool>("passed")[0])) << table.values<std::string>("reason")[0];
}

// Known names without a declaration are nothing to the gate.
TEST_F(QualityGate, AsksForNoName) {
  SampleFile file;
  file.cell({"r0"});
  file.metric("edit_success", {{"efficacy", "rate", "both"}, {"neighbourhood_success", "mean"}});
  file.metric("perplexity", {{"perplexity", "mean"}});
  for (const At& at : {At{"r0", 0, "base"}, At{"r0", 1, "edited"}}) {
    file.row("edit_success", at, "e1", "edited", {0.0, at.ordinal == 0 ? 1.0 : 0.0});
    file.row("perplexity", at, "", "", {at.ordinal == 0 ? 10.0 : 90.0});
  }
  const auto table = quality_gate(file.read(folder_));
  EXPECT_TRUE(bool(table.values<Bool>("passed")[0]));
  EXPECT_EQ(table.values<std::string>("reason")[0],
            "efficacy not measured; neighbourhood loss not measured; perplexity not measured");
}

TEST_F(QualityGate, TakesTheFirstDeclaredColumnThatHasValuesAndTheTasksScoreLast) {
  auto file = tuned();
  file.metric("later", {{"missing", "mean", "none", "perplexity"}, {"other", "rate", "both", "efficacy"}});
  file.row("later", {"r0", 0, "base"}, "", "", {10.0, kMissing});
  file.row("later", {"r0", 1, "edited"}, "", "", {kMissing, kMissing});
  file.row("later", {"r0", 1, "edited"}, "e1", "edited", {kMissing, 1.0});
  auto table = quality_gate(file.read(folder_));
  EXPECT_DOUBLE_EQ(table.values<double>("efficacy")[0], 0.75);
  EXPECT_EQ(table.values<std::string>("efficacy_source")[0], "retention.all_top1");
  EXPECT_FALSE(bool(table.values<Bool>("passed")[0]));
  EXPECT_THAT(table.values<std::string>("reason")[0], HasSubstr("neighbourhood loss not measured"));
  EXPECT_THAT(table.values<std::string>("reason")[0], HasSubstr("perplexity not measured"));

  file.metric("reading", {{"perplexity", "mean", "none", "perplexity"}}, "/task_score/");
  file.row("reading", {"r0", 0, "base"}, "", "", {10.0});
  file.row("reading", {"r0", 1, "edited"}, "", "", {11.0});
  file.row("reading", {"r0", 2, "finetuned", 10}, "", "", {5.0});
  table = quality_gate(file.read(folder_));
  EXPECT_NEAR(table.values<double>("perplexity_rise")[0], 0.1, 1e-12);
  EXPECT_EQ(table.values<std::string>("perplexity_source")[0], "reading.perplexity");
}

// By hand: means 3/4, 1/2 and 1 over the facts that have a value. The mean of the facts' own harmonic means is another.
TEST_F(QualityGate, TheScoreIsTheHarmonicMeanOfTheMeans) {
  SampleFile file;
  file.cell({"r0"});
  file.metric("hits", {{"written", "rate", "both", "efficacy"},
                       {"length", "none"},
                       {"rephrased", "mean"},
                       {"spared", "mean", "none", "neighbourhood"},
                       {"later", "mean"}});
  const std::vector<std::vector<double>> edited{
      {1, 9, 1, 1, 0}, {1, 9, 0, 1, 0}, {1, 9, 0.5, kMissing, 0}, {0, 9, kMissing, 1, 0}};
  for (std::size_t i = 0; i < edited.size(); ++i) {
    const std::string fact = cat("e", i);
    file.row("hits", {"r0", 0, "base"}, fact, "edited", {0.0, 9.0, 0.0, 1.0, 0.0});
    file.row("hits", {"r0", 1, "edited"}, fact, "edited",
             {edited[i][0], edited[i][1], edited[i][2], edited[i][3], edited[i][4]});
    file.row("hits", {"r0", 2, "finetuned", 9}, fact, "edited", {0.0, 9.0, 0.0, 0.0, 0.0});
  }
  file.row("hits", {"r0", 1, "edited"}, "i0", "intrinsic", {0.0, 9.0, 0.0, 0.0, 0.0});
  const auto table = quality_gate(file.read(folder_));
  EXPECT_DOUBLE_EQ(table.values<double>("edit_score")[0], harmonic_mean({0.75, 0.5, 1}));
  EXPECT_EQ(table.values<std::string>("edit_score_source")[0], "hits.written, hits.rephrased, hits.spared");
}

TEST_F(QualityGate, ThereIsNoScoreWithoutAllItsParts) {
  auto file = tuned();  // declares an efficacy alone
  file.metric("backwards", {{"spared", "mean", "none", "neighbourhood"}, {"written", "rate", "both", "efficacy"}});
  file.row("backwards", {"r0", 1, "edited"}, "e1", "edited", {1.0, 1.0});
  auto table = quality_gate(file.read(folder_));
  EXPECT_TRUE(std::isnan(table.values<double>("edit_score")[0]));
  EXPECT_EQ(table.values<std::string>("edit_score_source")[0], "");
  file.metric("half", {{"written", "rate", "both", "efficacy"}, {"spared", "mean", "none", "neighbourhood"}});
  file.row("half", {"r0", 1, "edited"}, "e1", "edited", {1.0, kMissing});
  table = quality_gate(file.read(folder_));
  EXPECT_TRUE(std::isnan(table.values<double>("edit_score")[0]));
  EXPECT_EQ(table.values<std::string>("edit_score_source")[0], "");
}

TEST_F(QualityGate, DoesNotJudgeTheUneditedControl) {
  SampleFile file;
  file.cell({"control,r0", 0, "control", "none"});
  file.retention();
  file.answers({"control,r0", 0, "base"}, "edited", {0, 0});
  file.answers({"control,r0", 1, "edited"}, "edited", {0, 0});
  const auto table = quality_gate(file.read(folder_));
  EXPECT_DOUBLE_EQ(table.values<double>("efficacy")[0], 0);
  EXPECT_TRUE(bool(table.values<Bool>("passed")[0]));
  EXPECT_THAT(table.values<std::string>("reason")[0], HasSubstr("unedited control"));
}

}  // namespace
}  // namespace palimpsest::analysis
