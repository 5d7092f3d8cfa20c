// The text that people read.
#include "analysis/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "analysis/sample_file.hpp"
#include "base/error.hpp"
#include "results/writer.hpp"
#include "support/scratch.hpp"

namespace palimpsest::analysis {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class Report : public Scratch {
 protected:
  std::string of(const SampleFile& file) { return report(file.write(folder_ / "sample.h5")); }
};

void add(SampleFile& file, const SampleCell& cell, const std::vector<double>& last,
         const std::vector<double>& intrinsic) {
  file.cell(cell);
  const std::vector<double> ones(last.size(), 1.0);
  file.answers({cell.name, 0, "base", 0, cell.replicate}, "edited", std::vector<double>(last.size(), 0.0));
  file.answers({cell.name, 1, "edited", 0, cell.replicate}, "edited", ones);
  file.answers({cell.name, 2, "finetuned", 10, cell.replicate}, "edited", last);
  for (const auto& [ordinal, stage] : {std::pair(0, "base"), std::pair(1, "edited")}) {
    file.answers({cell.name, ordinal, stage, 0, cell.replicate}, "intrinsic",
                 std::vector<double>(intrinsic.size(), 1.0));
  }
  file.answers({cell.name, 2, "finetuned", 10, cell.replicate}, "intrinsic", intrinsic);
}

SampleFile two_variants() {
  SampleFile file;
  file.retention();
  add(file, {"plain,r0", 0, "plain", "rome", 3.25, 3.0}, {1, 0, 0, 0}, {1, 1, 1, 1});
  add(file, {"frozen,r0", 0, "frozen", "rome", 3.25, 3.1, {}, "edited_layers"}, {1, 1, 1, 0}, {1, 1, 0, 1});
  return file;
}

TEST_F(Report, SaysWhatWasFound) {
  const auto text = of(two_variants());
  EXPECT_THAT(text, HasSubstr("plain: editor rome, task language_modeling, freeze policy none; 1 replicate\n"
                              "  the edits: efficacy 1.00\n"
                              "  validation loss 3.250 -> 3.000 nat/token\n"));
  // role, facts, right, retention, margin, generated, placebo
  EXPECT_THAT(text, ContainsRegex("edited +4 +1.00 -> 0.25 +0.25 \\(0.00 to 0.75\\) +.1.00 -> -0.50 +0.25 +0.00"));
  EXPECT_THAT(text, ContainsRegex("intrinsic +4 +1.00 -> 1.00 +1.00 \\(0.40 to 1.00\\)"));
  EXPECT_THAT(text, HasSubstr("* plain, edited facts:"));
  EXPECT_THAT(text, HasSubstr("* frozen, edited facts:"));
  EXPECT_THAT(text, HasSubstr("Left open:\n  * frozen and plain: the validation losses differ by +0.100 nat/token:"));
  EXPECT_THAT(text, ContainsRegex("judged\\s+at\\s+equal\\s+validation\\s+loss"));
  EXPECT_THAT(text, HasSubstr("4 facts and 1 replicate: a demonstration, not evidence."));
  EXPECT_THAT(text, ContainsRegex("retention:\\s+share\\s+of\\s+those"));
  // Words of the metric's own.
  EXPECT_THAT(text, HasSubstr("\n  margin: measured as margin\n"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_TRUE(line.empty() || line.back() != ' ') << "'" << line << "'";
  }
}

TEST_F(Report, AnExperimentsFileGivesTheSameWords) {
  const auto file = two_variants();
  const auto measurements = file.read(folder_);
  const auto gate = quality_gate(measurements);
  results::Writer writer;
  file.fill(writer);
  writer.table(summarise(measurements));
  writer.table(gate);
  writer.table(contrasts(measurements, gate));
  writer.commit(folder_ / "experiment.h5");
  EXPECT_EQ(report(folder_ / "experiment.h5"), of(file));
}

TEST_F(Report, SaysAtWhichStepsFreezingWasJudged) {
  auto file = two_variants();
  file.answers({"plain,r0", 2, "step", 8}, "edited", {1, 1, 0, 0});
  file.evaluation({"plain,r0", 2, "", 8}, 3.09);
  const auto text = of(file);
  EXPECT_THAT(text,
              ContainsRegex("\\* frozen, edited facts at step 10: [^*]*plain\\s+at\\s+step\\s+8,\\s+at\\s+equal"));
  EXPECT_THAT(text, Not(HasSubstr("Left open")));
}

// A metric that the program never heard of: its words are those that it declares.
TEST_F(Report, IsAboutTheOutcomesThatAMetricDeclaresFirst) {
  SampleFile file;
  file.metric("hits", {{"written", "rate", "both"}, {"rephrased", "mean"}});
  file.metric("poll", {{"agrees", "rate", "both"},
                       {"lead", "mean", "none", "none", "nat"},
                       {"spoken", "rate"},
                       {"spoken_placebo", "rate"}});
  file.cell({"r0", 0, "", "rome", 3.2, 3.0});
  for (const auto& [ordinal, stage] : {std::pair(0, "base"), std::pair(1, "edited"), std::pair(2, "finetuned")}) {
    for (const std::string role : {"edited", "intrinsic"}) {
      const bool last = ordinal == 2;
      file.row("hits", {"r0", ordinal, stage}, role, role, {1.0, 0.5});
      file.row("poll", {"r0", ordinal, stage}, role, role, {last ? 0.0 : 1.0, last ? -0.5 : 2.0, 1.0, 0.0});
    }
  }
  const auto text = of(file);
  EXPECT_THAT(text, ContainsRegex("role +facts +right +retention \\(95 %\\) +lead +spoken +placebo\n"));
  EXPECT_THAT(text, ContainsRegex("edited +1 +1.00 -> 0.00 +0.00 \\(0.00 to 0.97\\) +.2.00 -> -0.50 +1.00 +0.00\n"));
  EXPECT_THAT(text, ContainsRegex("answers\\s+rightly,\\s+by\\s+agrees\\s+below,"));
  EXPECT_THAT(text, HasSubstr("\n  agrees: measured as agrees\n"));
  EXPECT_THAT(text, HasSubstr("Compared in /contrasts too: written (hits)."));
}

TEST_F(Report, EnoughFactsAndReplicatesAreNoMereDemonstration) {
  SampleFile file;
  file.retention();
  const std::vector<double> many(20, 1.0);
  add(file, {"r0", 0, "", "rome", 3.2, 3.0}, many, many);
  add(file, {"r1", 1, "", "rome", 3.2, 3.0}, many, many);
  EXPECT_THAT(of(file), Not(HasSubstr("demonstration")));
}

TEST_F(Report, NamesTheCellsThatFailedAndDrawsNothingFromThem) {
  SampleFile file;
  file.retention();
  file.cell({"r0", 0, "", "rome", 3.2, 3.3});
  for (const auto& [ordinal, stage] : {std::pair(0, "base"), std::pair(1, "edited"), std::pair(2, "finetuned")}) {
    file.answers({"r0", ordinal, stage}, "edited", {0, 1});
    file.answers({"r0", ordinal, stage}, "intrinsic", {1, 1});
  }
  const auto text = of(file);
  EXPECT_THAT(text, HasSubstr("Kept out of the conclusions by the quality gate:\n  * r0: efficacy 0.50 is below 0.90"));
  EXPECT_THAT(text, Not(HasSubstr("What follows")));
  EXPECT_THAT(text, HasSubstr("No conclusion is drawn"));
  EXPECT_THAT(text, HasSubstr("the fine-tuning did not improve its own task"));
}

TEST_F(Report, SaysHowGoodTheEditsWere) {
  SampleFile file;
  file.retention();
  file.metric("probe", {{"es", "rate", "base", "efficacy"}, {"ns", "rate", "base", "neighbourhood"}});
  for (const std::int64_t replicate : {0, 1}) {
    const std::string name = cat("r", replicate);
    file.cell({name, replicate});
    file.row("probe", {name, 0, "base", 0, replicate}, "f0", "edited", {0.0, 1.0});
    file.row("probe", {name, 1, "edited", 0, replicate}, "f0", "edited", {1.0, replicate == 0 ? 0.9 : 1.0});
  }
  EXPECT_THAT(of(file), HasSubstr("\n  the edits: efficacy 1.00, neighbourhood loss 0.05\n"));
}

TEST_F(Report, SaysWhatTheTasksOwnScoreWas) {
  auto file = two_variants();
  file.metric("sorting", {{"accuracy", "rate"}, {"macro_f1", "mean"}, {"examples", "none"}}, "/task_score/");
  for (const std::string cell : {"plain,r0", "frozen,r0"}) {
    file.row("sorting", {cell, 0, "base"}, "", "", {0.5, 0.25, 200.0});
    file.row("sorting", {cell, 1, "edited"}, "", "", {0.4375, 0.125, 200.0});
    file.row("sorting", {cell, 2, "finetuned", 10}, "", "", {cell == "plain,r0" ? 0.9 : 0.75, 0.5, 200.0});
  }
  const auto text = of(file);
  EXPECT_THAT(text, HasSubstr("\n  the task's own score, on examples held out (unedited -> edited -> fine-tuned):"));
  EXPECT_THAT(text, ContainsRegex("accuracy\\s+0.5\\s+->\\s+0.4375\\s+->\\s+0.9,\\s+macro_f1"));
  EXPECT_THAT(text, ContainsRegex("accuracy\\s+0.5\\s+->\\s+0.4375\\s+->\\s+0.75,"));
  EXPECT_THAT(text, Not(HasSubstr("examples 200")));
  EXPECT_THAT(of(two_variants()), Not(HasSubstr("own score")));
}

TEST_F(Report, WithoutFineTuningOrIntrinsicFactsOrOutcomes) {
  SampleFile file;
  file.retention();
  file.cell({"r0"});
  file.answers({"r0", 0, "base"}, "edited", {0, 0});
  file.answers({"r0", 1, "edited"}, "edited", {1, kMissing});
  const auto text = of(file);
  EXPECT_THAT(text, AllOf(HasSubstr("no fine-tuning"), Not(HasSubstr("nan")), Not(HasSubstr("intrinsic  "))));
  EXPECT_THAT(text, ContainsRegex("edited +1 +0.00 -> 1.00 +-"));
  SampleFile other;
  other.cell({"r0"});
  other.metric("surprise", {{"height", "mean"}});
  EXPECT_THAT(of(other), HasSubstr("retention was not measured"));
}

TEST_F(Report, LongNamesKeepToTheWidth) {
  SampleFile file;
  file.retention();
  std::string name;
  for (int i = 0; i < 15; ++i) name += "größe=1e-4,";
  add(file, {name + "r0", 0, "", "rome", 3.2, 3.0}, {1, 0, 1}, {1, 1, 1});
  std::istringstream lines(of(file));
  for (std::string line; std::getline(lines, line);) {
    const auto points = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
    EXPECT_LE(points, 100) << line;
  }
}

// The unedited control is missed where it is missing, and only there.
TEST_F(Report, MissesTheUneditedControl) {
  auto file = two_variants();
  EXPECT_THAT(of(file), HasSubstr("No cell is the unedited, fine-tuned control"));
  add(file, {"unedited,r0", 0, "unedited", "none", 3.25, 3.0}, {0, 0, 0, 0}, {1, 1, 1, 1});
  EXPECT_THAT(of(file), Not(HasSubstr("fine-tuned control")));
}

}  // namespace
}  // namespace palimpsest::analysis
