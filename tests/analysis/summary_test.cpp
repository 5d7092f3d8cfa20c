// /summary on rows whose answers were worked out by hand.
#include "analysis/summary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/sample_file.hpp"
#include "analysis/statistics.hpp"
#include "base/error.hpp"
#include "support/scratch.hpp"

namespace palimpsest::analysis {
namespace {

using results::Table;
using ::testing::HasSubstr;

const SummaryOptions kQuick{1, 200, 200, 200};

class Summary : public Scratch {};

// The one row of /summary that has these.
class Row {
 public:
  Row(const Table& table, const std::string& role, const std::string& outcome, std::int64_t ordinal,
      const std::string& stage, std::int64_t step = -1, const std::string& configuration = "")
      : table_(&table) {
    int found = 0;
    for (std::size_t row = 0; row < table.rows(); ++row) {
      if (text("role", row) != role || text("outcome", row) != outcome || text("stage", row) != stage) continue;
      if (table.values<std::int64_t>("ordinal")[row] != ordinal) continue;
      if (step >= 0 && table.values<std::int64_t>("step")[row] != step) continue;
      if (!configuration.empty() && text("configuration", row) != configuration) continue;
      row_ = row;
      ++found;
    }
    EXPECT_EQ(found, 1) << role << " " << outcome << " " << ordinal << " " << stage;
  }
  double real(std::string_view column) const { return table_->values<double>(column)[row_]; }
  std::int64_t whole(std::string_view column) const { return table_->values<std::int64_t>(column)[row_]; }
  std::string text(std::string_view column) const { return text(column, row_); }

 private:
  std::string text(std::string_view column, std::size_t row) const { return table_->values<std::string>(column)[row]; }
  const Table* table_;
  std::size_t row_ = 0;
};

TEST_F(Summary, CountsWhatHeldAgainstBothReferences) {
  const auto table = summarise(tuned().read(folder_), kQuick);
  const Row last(table, "edited", "all_top1", 2, "finetuned");
  EXPECT_EQ(last.text("configuration"), "default");
  EXPECT_EQ(last.text("metric"), "retention");
  EXPECT_EQ(last.whole("n_rows"), 4);
  EXPECT_EQ(last.whole("n_facts"), 4);
  EXPECT_EQ(last.whole("n_replicates"), 1);
  EXPECT_EQ(last.text("interval_levels"), "facts only");
  EXPECT_DOUBLE_EQ(last.real("mean"), 0.75);
  EXPECT_LE(last.real("mean_low"), 0.75);
  EXPECT_GE(last.real("mean_high"), 0.75);
  EXPECT_EQ(last.whole("n_held_edited"), 3);
  EXPECT_DOUBLE_EQ(last.real("retention_edited"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(last.real("net_ratio_edited"), 1.0);
  EXPECT_EQ(last.whole("regained_edited"), 1);
  EXPECT_EQ(last.whole("n_held_base"), 1);
  EXPECT_DOUBLE_EQ(last.real("retention_base"), 1.0);
  EXPECT_DOUBLE_EQ(last.real("net_ratio_base"), 3.0);
  EXPECT_EQ(last.whole("regained_base"), 2);
  // The unedited model's false positives.
  EXPECT_DOUBLE_EQ(Row(table, "edited", "all_top1", 0, "base").real("mean"), 0.25);
  EXPECT_TRUE(std::isnan(Row(table, "edited", "all_top1", 0, "base").real("retention_edited")));
}

TEST_F(Summary, TheNetRatioHasItsInterval) {
  const auto table = summarise(tuned().read(folder_), kQuick);
  const Row last(table, "edited", "all_top1", 2, "finetuned");
  const OutcomeReplicates outcomes{{{1, 1}, {1, 0}, {1, 1}, {0, 1}}};
  const auto wanted = net_ratio_interval(outcomes, {kQuick.seed, "summary", kQuick.resamples, 0.95});
  EXPECT_DOUBLE_EQ(last.real("net_ratio_edited"), wanted.estimate);
  EXPECT_DOUBLE_EQ(last.real("net_ratio_low_edited"), wanted.low);
  EXPECT_DOUBLE_EQ(last.real("net_ratio_high_edited"), wanted.high);
  EXPECT_LT(last.real("net_ratio_low_edited"), 1);
  EXPECT_GT(last.real("net_ratio_high_edited"), 1);
  // Nothing came back at step 5: the two ratios are one.
  const Row middle(table, "edited", "all_top1", 2, "step", 5);
  EXPECT_EQ(middle.whole("regained_edited"), 0);
  for (const std::string end : {"", "low_", "high_"}) {
    EXPECT_DOUBLE_EQ(middle.real("net_ratio_" + end + "edited"), middle.real("retention_" + end + "edited"));
  }
  const auto same =
      net_ratio_interval({{{1, 1}, {1, 0}, {1, 0}, {0, 0}}}, {kQuick.seed, "summary", kQuick.resamples, 0.95});
  EXPECT_DOUBLE_EQ(middle.real("net_ratio_high_edited"), same.high);
  EXPECT_TRUE(std::isnan(Row(table, "edited", "all_top1", 0, "base").real("net_ratio_low_edited")));
  EXPECT_EQ(table.at("regained_edited").unit, "row");
}

TEST_F(Summary, MeasuresTheCurveAtItsEnd) {
  const auto table = summarise(tuned().read(folder_), kQuick);
  const Row last(table, "edited", "all_top1", 2, "finetuned");
  EXPECT_EQ(last.whole("step"), 10);
  // 1, 1/3, 2/3 at steps 0, 5, 10.
  EXPECT_NEAR(last.real("area_edited"), 7.0 / 12, 1e-12);
  EXPECT_EQ(last.whole("forgotten_edited"), 2);
  EXPECT_DOUBLE_EQ(last.real("first_forgotten_edited"), 5);
  const Row middle(table, "edited", "all_top1", 2, "step", 5);
  EXPECT_DOUBLE_EQ(middle.real("retention_edited"), 1.0 / 3);
  EXPECT_TRUE(std::isnan(middle.real("area_edited")));
}

TEST_F(Summary, AMeasuredStepZeroBeginsTheCurveAndHalfForgottenMeansHalf) {
  SampleFile file;
  file.cell({"r0", 0, "", "rome", 3.2, 3.0});
  file.retention();
  file.answers({"r0", 0, "base"}, "intrinsic", {1, 1, 1, 1});
  file.answers({"r0", 1, "step", 0}, "intrinsic", {1, 1, 1, 1});
  file.answers({"r0", 1, "step", 2}, "intrinsic", {0, 1, 1, 1});
  file.answers({"r0", 1, "finetuned", 2}, "intrinsic", {0, 1, 1, 1});
  const auto table = summarise(file.read(folder_), kQuick);
  const Row last(table, "intrinsic", "all_top1", 1, "finetuned");
  EXPECT_DOUBLE_EQ(last.real("area_base"), 0.875);
  EXPECT_EQ(last.whole("forgotten_base"), 1);
  EXPECT_TRUE(std::isnan(last.real("first_forgotten_base")));
  // Nothing was edited, so there is no such reference.
  EXPECT_EQ(last.whole("n_held_edited"), 0);
  EXPECT_TRUE(std::isnan(last.real("retention_edited")));
}

TEST_F(Summary, LeavesMissingValuesOutAndCountsThem) {
  SampleFile file;
  file.cell({"r0"});
  file.retention();
  file.answers({"r0", 0, "base"}, "edited", {1, 1, kMissing, 0});
  file.answers({"r0", 1, "edited"}, "edited", {1, kMissing, 1, 0});
  const auto table = summarise(file.read(folder_), kQuick);
  const Row edited(table, "edited", "margin", 1, "edited");
  EXPECT_EQ(edited.whole("n_rows"), 3);
  EXPECT_EQ(edited.whole("n_missing"), 1);
  EXPECT_NEAR(edited.real("mean"), 1.0 / 3, 1e-12);
  // A mean has no retention.
  EXPECT_TRUE(std::isnan(edited.real("retention_base")));
  const Row answers(table, "edited", "all_top1", 1, "edited");
  EXPECT_EQ(answers.whole("n_held_base"), 1);
  EXPECT_DOUBLE_EQ(answers.real("retention_base"), 1.0);
}

TEST_F(Summary, PoolsReplicates) {
  SampleFile file;
  file.retention();
  for (const std::int64_t replicate : {0, 1}) {
    const std::string name = cat("plain,r", replicate);
    file.cell({name, replicate, "plain"});
    file.answers({name, 0, "base", 0, replicate}, "intrinsic", {1, 1});
    file.answers({name, 1, "edited", 0, replicate}, "intrinsic",
                 replicate == 0 ? std::vector<double>{1, 0} : std::vector<double>{1, 1});
  }
  const auto table = summarise(file.read(folder_), kQuick);
  const Row row(table, "intrinsic", "all_top1", 1, "edited");
  EXPECT_EQ(row.text("configuration"), "plain");
  EXPECT_EQ(row.text("variant"), "plain");
  EXPECT_EQ(row.whole("n_rows"), 4);
  EXPECT_EQ(row.whole("n_facts"), 2);
  EXPECT_EQ(row.whole("n_replicates"), 2);
  EXPECT_EQ(row.text("interval_levels"), "replicates and facts");
  EXPECT_DOUBLE_EQ(row.real("retention_base"), 0.75);
}

TEST_F(Summary, InScopeIsolatedEachEditIsAModelOfItsOwn) {
  SampleFile file;
  file.cell({"r0", 0, "", "rome", 3.2, 3.0});
  file.retention();
  file.answers({"r0", 0, "base"}, "intrinsic", {1, 1});
  file.answers({"r0", 0, "base"}, "edited", {0, 0});
  for (const std::string edit : {"e1", "e2"}) {
    // Both edited facts are measured in both models; only one of them was written there.
    file.answers({"r0", 1, "edited", 0, 0, edit}, "edited", {edit == "e1" ? 1.0 : 0.0, edit == "e2" ? 1.0 : 0.0});
    file.answers({"r0", 1, "edited", 0, 0, edit}, "intrinsic", {1, edit == "e1" ? 1.0 : 0.0});
    // Stopped at different steps.
    file.answers({"r0", 2, "finetuned", edit == "e1" ? 10 : 20, 0, edit}, "edited", {edit == "e1" ? 1.0 : 0.0, 0});
    file.answers({"r0", 2, "finetuned", edit == "e1" ? 10 : 20, 0, edit}, "intrinsic", {0, 1});
  }
  const auto table = summarise(file.read(folder_), kQuick);
  const Row edited(table, "edited", "all_top1", 2, "finetuned");
  EXPECT_EQ(edited.whole("n_rows"), 2);
  EXPECT_EQ(edited.whole("step"), 20);
  EXPECT_EQ(edited.whole("n_held_edited"), 2);
  EXPECT_DOUBLE_EQ(edited.real("retention_edited"), 0.5);
  const Row intrinsic(table, "intrinsic", "all_top1", 2, "finetuned");
  EXPECT_EQ(intrinsic.whole("n_rows"), 4);
  EXPECT_EQ(intrinsic.whole("n_facts"), 2);
  EXPECT_EQ(intrinsic.whole("n_held_base"), 4);
  EXPECT_DOUBLE_EQ(intrinsic.real("retention_base"), 0.5);
  EXPECT_EQ(intrinsic.whole("n_held_edited"), 3);
  EXPECT_DOUBLE_EQ(intrinsic.real("retention_edited"), 1.0 / 3);
  EXPECT_EQ(intrinsic.whole("regained_edited"), 1);
}

// Ten edited models say of two controls what one says of two, not of twenty.
TEST_F(Summary, InScopeIsolatedAControlIsOneFactHoweverManyModels) {
  SampleFile file;
  file.cell({"r0", 0, "", "rome", 3.2, 3.0});
  file.retention();
  file.answers({"r0", 0, "base"}, "intrinsic", {1, 1});
  for (int model = 0; model < 10; ++model) {
    const std::string edit = cat("e", model);
    file.answers({"r0", 1, "edited", 0, 0, edit}, "intrinsic", {1, 1});
    file.answers({"r0", 2, "finetuned", 10, 0, edit}, "intrinsic", {1, 0});
  }
  const auto measurements = file.read(folder_);
  const auto table = summarise(measurements, kQuick);
  const Row last(table, "intrinsic", "all_top1", 2, "finetuned");
  EXPECT_EQ(last.whole("n_rows"), 20);
  EXPECT_EQ(last.whole("n_facts"), 2);
  for (const std::string column : {"mean", "retention"}) {
    const auto end = [&](const char* which) {
      return last.real(column == "mean" ? cat(column, which) : cat(column, which, "_edited"));
    };
    EXPECT_DOUBLE_EQ(end(""), 0.5);
    EXPECT_DOUBLE_EQ(end("_low"), 0) << "every fourth resample holds the lost one alone";
    EXPECT_DOUBLE_EQ(end("_high"), 1);
  }
  const auto by_margin = retention_by_margin(measurements, kQuick);
  ASSERT_EQ(by_margin.rows(), 1U);
  EXPECT_EQ(by_margin.values<std::int64_t>("n_rows")[0], 20);
  EXPECT_DOUBLE_EQ(by_margin.values<double>("retention_low")[0], 0);
}

TEST_F(Summary, ASharesIntervalAtItsEndIsExact) {
  SampleFile file;
  file.retention();
  for (const std::int64_t replicate : {0, 1}) {
    const std::string name = cat("r", replicate);
    file.cell({name, replicate});
    file.answers({name, 0, "base", 0, replicate}, "intrinsic", {1, 1, 1, 1, 1});
    file.answers({name, 1, "edited", 0, replicate}, "intrinsic", {1, 1, 1, 1, 1});
  }
  const auto measurements = file.read(folder_);
  const auto table = summarise(measurements, kQuick);
  const Row row(table, "intrinsic", "all_top1", 1, "edited");
  const double low = all_or_none_interval(true, 5).low;
  EXPECT_DOUBLE_EQ(row.real("mean_low"), low) << "ten rows of five facts";
  EXPECT_DOUBLE_EQ(row.real("mean_high"), 1);
  EXPECT_DOUBLE_EQ(row.real("retention_low_base"), low);
  EXPECT_DOUBLE_EQ(row.real("net_ratio_low_base"), low);
  // A mean that happens to be 1 is no share.
  EXPECT_DOUBLE_EQ(Row(table, "intrinsic", "margin", 1, "edited").real("mean_low"), 1);
  EXPECT_DOUBLE_EQ(retention_by_margin(measurements, kQuick).values<double>("retention_low")[0], low);
}

// The second one learns on after the first has stopped: the curve ends with both.
TEST_F(Summary, TheCurveKeepsModelsThatStoppedEarlier) {
  SampleFile file;
  file.retention();
  for (const std::int64_t replicate : {0, 1}) {
    const std::string name = cat("r", replicate);
    const auto right = [](bool is) { return std::vector<double>{1, is ? 1.0 : 0.0}; };
    file.cell({name, replicate, "", "rome", 3.2, 3.0});
    file.answers({name, 1, "edited", 0, replicate}, "edited", {1, 1});
    file.answers({name, 2, "step", 10, replicate}, "edited", right(true));
    if (replicate == 1) file.answers({name, 2, "step", 20, replicate}, "edited", {0, 0});
    file.answers({name, 2, "finetuned", replicate == 0 ? 10 : 20, replicate}, "edited",
                 replicate == 0 ? right(true) : std::vector<double>{0, 0});
  }
  const auto table = summarise(file.read(folder_), kQuick);
  const Row last(table, "edited", "all_top1", 2, "finetuned");
  EXPECT_DOUBLE_EQ(last.real("retention_edited"), 0.5);
  // 1, 1, 1/2 at steps 0, 10, 20.
  EXPECT_DOUBLE_EQ(last.real("area_edited"), 0.875);
}

// The first one stops where the second is not measured, which has lost half by then as far as anybody can know.
TEST_F(Summary, BetweenItsMeasurementsAModelLiesOnTheLine) {
  SampleFile file;
  file.retention();
  for (const std::int64_t replicate : {0, 1}) {
    const std::string name = cat("r", replicate);
    const auto answer = [&](const At& at, double right) { file.answers(at, "edited", {right, right}); };
    file.cell({name, replicate, "", "rome", 3.2, 3.0});
    answer({name, 1, "edited", 0, replicate}, 1);
    answer({name, 2, "step", 20, replicate}, 1);
    answer({name, 2, "step", replicate == 0 ? 30 : 40, replicate}, replicate == 0 ? 1 : 0);
    answer({name, 2, "finetuned", replicate == 0 ? 30 : 40, replicate}, replicate == 0 ? 1 : 0);
  }
  const auto table = summarise(file.read(folder_), kQuick);
  // 1, 1, 3/4, 1/2 at steps 0, 20, 30, 40.
  EXPECT_DOUBLE_EQ(Row(table, "edited", "all_top1", 2, "finetuned").real("area_edited"), 0.875);
}

// Asked at the ends alone, the first one has lost all by step 10, where it stopped.
TEST_F(Summary, AModelsEndStandsWhereItStopped) {
  SampleFile file;
  file.retention();
  for (const std::int64_t replicate : {0, 1}) {
    const std::string name = cat("r", replicate);
    file.cell({name, replicate, "", "rome", 3.2, 3.0});
    file.answers({name, 1, "edited", 0, replicate}, "edited", {1, 1});
    const double right = replicate == 0 ? 0 : 1;
    file.answers({name, 2, "finetuned", replicate == 0 ? 10 : 20, replicate}, "edited", {right, right});
  }
  const auto table = summarise(file.read(folder_), kQuick);
  const Row last(table, "edited", "all_top1", 2, "finetuned");
  // 1, 1/2, 1/2 at steps 0, 10, 20.
  EXPECT_DOUBLE_EQ(last.real("area_edited"), 0.625);
  EXPECT_DOUBLE_EQ(last.real("first_forgotten_edited"), 10);
}

TEST_F(Summary, ReadsAnyMetricByItsDeclarationsAlone) {
  SampleFile file;
  file.cell({"r0"});
  file.metric("surprise", {{"height", "mean"}, {"ignored", "none"}, {"seen", "rate", "base"}, {"words", "text"}});
  const At base{"r0", 0, "base"};
  // Two rows about one fact are one fact.
  file.row("surprise", base, "a", "intrinsic", {1.0, 9.0, 1.0, "x"});
  file.row("surprise", base, "a", "intrinsic", {3.0, 9.0, 0.0, "y"});
  file.row("surprise", base, "b", "intrinsic", {5.0, 9.0, 1.0, ""});
  file.row("surprise", base, "", "", {7.0, 9.0, kMissing, ""});
  const auto table = summarise(file.read(folder_), kQuick);
  EXPECT_EQ(table.rows(), 4u);
  const Row row(table, "intrinsic", "height", 0, "base");
  EXPECT_DOUBLE_EQ(row.real("mean"), 3.5);
  EXPECT_EQ(row.whole("n_rows"), 2);
  const Row seen(table, "intrinsic", "seen", 0, "base");
  EXPECT_EQ(seen.text("baseline"), "base");
  EXPECT_EQ(seen.whole("n_held_base"), 2);
  EXPECT_EQ(seen.whole("n_held_edited"), 0);
  const Row whole(table, "", "height", 0, "base");
  EXPECT_DOUBLE_EQ(whole.real("mean"), 7.0);
  EXPECT_EQ(whole.whole("n_facts"), 0);
  EXPECT_TRUE(std::isnan(whole.real("mean_low")));
  EXPECT_EQ(whole.text("interval_levels"), "");
}

TEST_F(Summary, WithoutMetricsOrFactsTheTableIsEmpty) {
  SampleFile file;
  file.cell({"r0"});
  EXPECT_EQ(summarise(file.read(folder_), kQuick).rows(), 0u);
  file.retention();
  const auto table = summarise(file.read(folder_), kQuick);
  EXPECT_EQ(table.rows(), 0u);
  EXPECT_NO_THROW(table.check());
}

TEST_F(Summary, RefusesRowsThatContradictTheCells) {
  auto file = tuned();
  file.answers({"elsewhere", 0, "base"}, "edited", {1});
  const auto measurements = file.read(folder_);
  try {
    summarise(measurements, kQuick);
    FAIL() << "a row of an unknown cell was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("elsewhere"));
  }
  SampleFile twice;
  twice.cell({"r0"});
  twice.cell({"r0"});
  EXPECT_THROW(summarise(twice.read(folder_), kQuick), Error);
  SampleFile texts;
  texts.cell({"r0"});
  texts.metric("odd", {{"height", "median"}});
  EXPECT_THROW(summarise(texts.read(folder_), kQuick), Error);
}

TEST_F(Summary, FilesTogetherSayWhatOneFileSays) {
  SampleFile all;
  std::vector<std::filesystem::path> files;
  all.retention();
  for (const std::int64_t replicate : {0, 1}) {
    SampleFile one;
    one.retention();
    const std::string name = cat("r", replicate);
    for (auto* file : {&all, &one}) {
      file->cell({name, replicate});
      file->answers({name, 0, "base", 0, replicate}, "intrinsic", {1, 0, 1});
      file->answers({name, 1, "edited", 0, replicate}, "intrinsic", {1, 0, 0});
      // Only the second one has them.
      if (replicate == 1) file->evaluation({name, 2, "", 5, replicate}, 3.0);
    }
    files.push_back(one.write(folder_ / cat("cell", replicate, ".h5")));
  }
  EXPECT_EQ(summarise(read_measurements(files), kQuick), summarise(all.read(folder_), kQuick));
  EXPECT_EQ(read_measurements(files).evaluations, all.read(folder_).evaluations);
  EXPECT_EQ(read_measurements(files).evaluations.rows(), 1u);
  EXPECT_THROW(read_measurements(std::vector<std::filesystem::path>{}), Error);
}

}  // namespace
}  // namespace palimpsest::analysis
