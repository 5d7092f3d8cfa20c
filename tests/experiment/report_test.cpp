// The text that people read, and docs/results-format.md, which has to describe every column of a results file.
#include "experiment/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "base/error.hpp"
#include "base/files.hpp"
#include "results/writer.hpp"
#include "sample_file.hpp"
#include "scratch.hpp"

namespace palimpsest::experiment {
namespace {

using results::Table;
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
  add(file, {"frozen,r0", 0, "frozen", "rome", 3.25, 3.1}, {1, 1, 1, 0}, {1, 1, 0, 1});
  return file;
}

TEST_F(Report, SaysWhatWasFound) {
  const auto text = of(two_variants());
  EXPECT_THAT(text, HasSubstr("plain: editor rome, task language_modeling, freeze policy none; 1 replicate\n"
                              "  the edits: efficacy 1.00\n"
                              "  validation loss 3.250 -> 3.000 nat/token\n"));
  // role, facts, right, retention, margin, generated, placebo
  EXPECT_THAT(text, ContainsRegex("edited +4 +1.00 -> 0.25 +0.25 \\(0.00 to 0.75\\) +.1.00 -> -0.50 +0.25 +0.00"));
  EXPECT_THAT(text, ContainsRegex("intrinsic +4 +1.00 -> 1.00 +1.00 \\(1.00 to 1.00\\)"));
  EXPECT_THAT(text, HasSubstr("* plain, edited facts:"));
  EXPECT_THAT(text, HasSubstr("* frozen, edited facts:"));
  EXPECT_THAT(text, HasSubstr("equal validation loss"));
  EXPECT_THAT(text, HasSubstr("4 facts and 1 replicate: a demonstration, not evidence."));
  EXPECT_THAT(text, HasSubstr("retention: share of"));
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

// The names between backquotes.
std::set<std::string> described(const std::string& text) {
  std::set<std::string> names;
  for (std::size_t at = text.find('`'); at != text.npos;) {
    const std::size_t end = text.find('`', at + 1);
    if (end == text.npos) break;
    names.insert(text.substr(at + 1, end - at - 1));
    at = text.find('`', end + 1);
  }
  return names;
}

// Tables whose columns only the engine with a model writes: their names as the engine has them.
void add_tables_of_the_engine(SampleFile& file) {
  const auto table = [&](const std::string& name, const std::vector<std::string>& columns) {
    Table made{name, "", {}};
    static const std::set<std::string> kTexts{"cell", "edit", "stage", "fact", "role", "name", "stop_reason"};
    static const std::set<std::string> kWhole{"replicate", "ordinal", "step", "steps", "tokens"};
    for (const auto& column : columns) {
      results::Values values = std::vector<double>{0};
      if (kTexts.contains(column)) values = std::vector<std::string>{"r0"};
      if (kWhole.contains(column)) values = std::vector<std::int64_t>{0};
      made.columns.push_back({column, "", "as named", std::move(values)});
    }
    file.table(made);
  };
  table("/facts", {"cell", "replicate", "fact", "role", "relation", "subject", "prompt", "target_new", "target_true",
                   "placebo", "probability_base", "margin_base"});
  table("/training",
        {"cell", "replicate", "edit", "ordinal", "step", "learning_rate", "loss", "gradient_norm", "tokens"});
  table("/evaluations", {"cell", "replicate", "edit", "ordinal", "step", "validation_loss"});
  table("/weight_change", {"cell", "replicate", "edit", "ordinal", "layer", "relative_change"});
  table("/dose", {"cell", "replicate", "edit", "ordinal", "steps", "tokens", "trained", "epochs",
                  "validation_loss_before", "validation_loss_after", "stop_reason"});
  table("/edit_records", {"cell", "replicate", "edit", "ordinal", "call", "fact", "request", "name", "step", "value"});
  table("/lifelong", {"cell", "replicate", "ordinal", "edits", "group", "facts", "efficacy", "all_top1", "margin"});
  table("/edit_requests",
        {"cell", "replicate", "edit", "ordinal", "call", "fact", "request", "origin", "prompt", "target", "tokens"});
  table("/augmentation", {"cell", "replicate", "edit", "ordinal", "fact", "name", "value"});
  table("/updates/index", {"cell", "replicate", "edit", "ordinal", "order", "parameter", "rank", "norm", "data"});
  table("/updates/requests", {"cell", "replicate", "edit", "order", "request", "fact"});
  table("/data", {"cell", "replicate", "file", "sha256", "digest", "read", "dropped", "train", "validation",
                  "hits_subject", "hits_alias", "hits_edited_target", "hits_intrinsic_target", "hits_prompt_phrase"});
  table("/timing", {"cell", "node", "label", "seconds", "peak_memory", "host"});
  table("/task_score/language_modeling",
        {"cell", "replicate", "edit", "ordinal", "stage", "step", "fact", "role", "loss", "perplexity"});
}

// The unedited control is missed where it is missing, and only there.
TEST_F(Report, MissesTheUneditedControl) {
  auto file = two_variants();
  EXPECT_THAT(of(file), HasSubstr("No cell is the unedited, fine-tuned control"));
  add(file, {"unedited,r0", 0, "unedited", "none", 3.25, 3.0}, {0, 0, 0, 0}, {1, 1, 1, 1});
  EXPECT_THAT(of(file), Not(HasSubstr("fine-tuned control")));
}

TEST_F(Report, TheFormatsDocumentDescribesEveryTableAndColumn) {
  const std::string text = read_file(PALIMPSEST_TEST_DATA "/../docs/results-format.md");
  const auto names = described(text);
  auto file = two_variants();
  file.metric("edit_success", {{"efficacy", "rate", "both"}, {"neighbourhood_success", "mean"}});
  add_tables_of_the_engine(file);
  const auto measurements = file.read(folder_);
  const auto gate = quality_gate(measurements);
  results::Writer writer;
  file.fill(writer);
  writer.table(summarise(measurements, {1, 20, 20, 20}));
  writer.table(retention_by_margin(measurements, {1, 20, 20, 20}));
  writer.table(gate);
  writer.table(contrasts(measurements, gate, {1, 20, 20, 20}));
  writer.commit(folder_ / "experiment.h5");
  const results::Reader reader(folder_ / "experiment.h5");
  EXPECT_TRUE(names.contains(std::string(results::kSchemaAttribute)));
  for (const auto& path : reader.tables()) {
    EXPECT_TRUE(names.contains(path)) << "docs/results-format.md does not describe the table " << path;
    for (const auto& column : reader.table(path).columns) {
      EXPECT_TRUE(names.contains(column.name)) << path << ": docs/results-format.md does not describe " << column.name;
    }
  }
}

}  // namespace
}  // namespace palimpsest::experiment
