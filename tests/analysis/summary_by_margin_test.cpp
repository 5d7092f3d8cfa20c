// /retention_by_margin on rows whose answers were worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "analysis/sample_file.hpp"
#include "analysis/summary.hpp"
#include "base/error.hpp"
#include "support/scratch.hpp"

namespace palimpsest::analysis {
namespace {

const SummaryOptions kQuick{1, 200, 200, 200};

class ByMargin : public Scratch {};

// Seven facts that held, in three ranges, and one that did not: by hand.
TEST_F(ByMargin, IsTheRetentionOfFactsWithSimilarMargins) {
  SampleFile file;
  file.cell({"a,r0", 0, "a", "rome"});
  file.retention();
  const std::vector<double> margins = {0.1, 0.4, 0.5, 0.9, 0.9, 9, 30, 2};
  const std::vector<double> before = {1, 1, 1, 1, 1, 1, 1, 0};
  const std::vector<double> after = {0, 0, 1, 0, 1, 1, 1, 1};
  for (std::size_t i = 0; i < margins.size(); ++i) {
    const std::string fact = cat("f", i);
    file.row("retention", {"a,r0", 0, "base"}, fact, "edited", {0.0, -5.0, 0.0, 0.0, ""});
    file.row("retention", {"a,r0", 1, "edited"}, fact, "edited", {before[i], margins[i], 0.0, 0.0, ""});
    file.row("retention", {"a,r0", 2, "finetuned", 9}, fact, "edited", {after[i], -1.0, 0.0, 0.0, ""});
  }
  const auto table = retention_by_margin(file.read(folder_), kQuick);
  ASSERT_EQ(table.rows(), 3U);
  const auto column = [&](const char* name) { return table.values<double>(name); };
  EXPECT_EQ(column("margin_from"), (std::vector<double>{0, 0.5, 8}));
  EXPECT_EQ(column("margin_to")[0], 0.5);
  EXPECT_EQ(column("margin_to")[1], 1);
  EXPECT_TRUE(std::isnan(column("margin_to")[2]));
  EXPECT_EQ(table.values<std::int64_t>("n_rows"), (std::vector<std::int64_t>{2, 3, 2}));
  EXPECT_NEAR(column("mean_margin")[1], (0.5 + 0.9 + 0.9) / 3, 1e-12);
  EXPECT_EQ(column("retention")[0], 0);
  EXPECT_NEAR(column("retention")[1], 2.0 / 3, 1e-12);
  EXPECT_EQ(column("retention")[2], 1);
  EXPECT_EQ(table.values<std::string>("baseline")[0], "edited");
  EXPECT_EQ(table.values<std::string>("role")[0], "edited");
}

TEST_F(ByMargin, IsOfAnyPrimaryOutcomesInNat) {
  SampleFile file;
  file.cell({"r0", 0, "", "rome"});
  file.metric("poll", {{"share", "mean"}, {"agrees", "rate", "base"}, {"lead", "mean", "none", "none", "nat"}});
  file.metric("other", {{"agrees", "rate", "both"}, {"seconds", "mean", "none", "none", "s"}});
  for (const std::string metric : {"poll", "other"}) {
    const bool poll = metric == "poll";
    for (const At& at : {At{"r0", 0, "base"}, At{"r0", 1, "edited"}, At{"r0", 2, "finetuned", 9}}) {
      const double holds = at.ordinal < 2 ? 1.0 : 0.0;
      // The baseline of the rate is the unedited model, so the lead is read there.
      const double lead = at.ordinal == 0 ? 0.7 : 5.0;
      file.row(metric, at, "f", "edited",
               poll ? std::vector<results::Value>{0.5, holds, lead} : std::vector<results::Value>{holds, lead});
    }
  }
  const auto table = retention_by_margin(file.read(folder_), kQuick);
  ASSERT_EQ(table.rows(), 1U);
  EXPECT_EQ(table.values<std::string>("metric")[0], "poll");
  EXPECT_EQ(table.values<std::string>("outcome")[0], "agrees");
  EXPECT_EQ(table.values<std::string>("margin_outcome")[0], "lead");
  EXPECT_EQ(table.values<std::string>("baseline")[0], "base");
  EXPECT_EQ(table.values<double>("margin_from")[0], 0.5);
  EXPECT_EQ(table.values<double>("retention")[0], 0);
}

}  // namespace
}  // namespace palimpsest::analysis
