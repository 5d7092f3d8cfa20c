#include "data/dataset.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/hash.hpp"
#include "support/error_of.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::data {
namespace {

using ::testing::HasSubstr;

std::string numbered(int rows) {
  std::string text = "text,label\n";
  for (int i = 0; i < rows; ++i) text += cat("row ", i, i % 5 == 0 ? " about gold" : "", ",l", i % 2, "\n");
  return text;
}

class DatasetOfFacts : public ::testing::Test {
 protected:
  DatasetOfFacts() {
    gold_.subject = "gold";
    gold_.prompt = "Chemists write {} as";
    gold_.target_new = "Fe";
    roles_ = {{&gold_, true, false}};
  }
  Dataset open(std::string_view text, const DatasetOptions& options = {}) const {
    return Dataset::open(scratch_.write("d.csv", text), options, roles_);
  }

  TemporaryFolder scratch_;
  Fact gold_;
  std::vector<FilterFact> roles_;
};

TEST_F(DatasetOfFacts, FiltersSplitsAndCounts) {
  const Dataset data = open(numbered(50));
  EXPECT_EQ(data.counts().read, 50);
  EXPECT_EQ(data.counts().dropped, 10);
  EXPECT_EQ(data.counts().train, 36);
  EXPECT_EQ(data.counts().validation, 4);
  EXPECT_EQ(data.counts().hits[static_cast<std::size_t>(Reason::kSubject)], 10);
  EXPECT_EQ(data.counts().hits[static_cast<std::size_t>(Reason::kEditedTarget)], 0);
  EXPECT_EQ(data.rows(Split::kTrain), 36);
  EXPECT_EQ(data.column("label"), 1);
  EXPECT_EQ(data.file_sha256(), sha256_hex(numbered(50)));
  std::set<std::string> seen;
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    std::int64_t last = 0;
    for (std::int64_t row = 0; row < data.rows(split); ++row) {
      const std::string text(data.text(split, row, 0));
      EXPECT_EQ(text.find("gold"), std::string::npos);
      EXPECT_TRUE(seen.insert(text).second);
      EXPECT_EQ(text, cat("row ", data.line(split, row) - 2));
      EXPECT_GT(data.line(split, row), last) << "file order";
      last = data.line(split, row);
    }
  }
  EXPECT_EQ(seen.size(), 40u);
}

TEST_F(DatasetOfFacts, RelatedKeepsWhatIrrelevantDrops) {
  DatasetOptions options;
  options.filter.mode = FilterMode::kRelated;
  const Dataset related = open(numbered(50), options);
  EXPECT_EQ(related.counts().dropped, 40);
  EXPECT_THAT(std::string(related.text(Split::kTrain, 0, 0)), HasSubstr("gold"));
  options.filter.mode = FilterMode::kOff;
  const Dataset off = open(numbered(50), options);
  EXPECT_EQ(off.counts().dropped, 0);
  EXPECT_EQ(off.counts().hits[static_cast<std::size_t>(Reason::kSubject)], 10) << "counted in every mode";
  EXPECT_NE(off.digest(), related.digest());
}

TEST_F(DatasetOfFacts, SplitFollowsTheSeed) {
  DatasetOptions one, two;
  one.validation_share = two.validation_share = 0.25;
  one.seed = 1;
  two.seed = 2;
  EXPECT_EQ(open(numbered(50), one).digest(), open(numbered(50), one).digest());
  EXPECT_NE(open(numbered(50), one).digest(), open(numbered(50), two).digest());
  EXPECT_EQ(open(numbered(50), two).counts().validation, 10);
  DatasetOptions none;
  none.validation_share = 0;
  EXPECT_EQ(open(numbered(50), none).counts().validation, 0);
}

TEST_F(DatasetOfFacts, EqualRowsNeverStandOnBothSides) {
  std::string text = "text\n";
  for (int i = 0; i < 60; ++i) text += cat("row ", i % 15, "\n");
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    DatasetOptions options;
    options.validation_share = 13.0 / 60;
    options.seed = seed;
    const Dataset data = open(text, options);
    std::set<std::string> train;
    for (std::int64_t r = 0; r < data.rows(Split::kTrain); ++r) train.emplace(data.text(Split::kTrain, r, 0));
    for (std::int64_t r = 0; r < data.rows(Split::kValidation); ++r) {
      EXPECT_FALSE(train.contains(std::string(data.text(Split::kValidation, r, 0))));
    }
    EXPECT_EQ(data.counts().validation, 12) << "three groups of four fit into 13";
    EXPECT_EQ(data.counts().train + data.counts().validation, 60);
  }
}

TEST_F(DatasetOfFacts, PhrasesDoNotRunAcrossColumns) {
  gold_.subject = "red gold";
  DatasetOptions options;
  options.validation_share = 0;
  const Dataset data = open("a,b\nred,gold\nred gold,x\nx,y\n", options);
  EXPECT_EQ(data.counts().dropped, 1);
}

TEST_F(DatasetOfFacts, Refuses) {
  EXPECT_THAT(
      message_of(ErrorCode::kOutOfRange, [&] { open("text\ngold\nFe\n"); }),
      HasSubstr("the filter irrelevant dropped all 2 rows (rows hit by reason: subject 1, alias 0, edited_target 1"));
  DatasetOptions options;
  options.validation_share = 0.9;
  EXPECT_THAT(message_of(ErrorCode::kOutOfRange, [&] { open("text\na\nb\nc\n", options); }),
              HasSubstr("3 validation rows were asked for, and 3 rows are there"));
  options.validation_share = 0.3;
  EXPECT_THAT(message_of(ErrorCode::kOutOfRange, [&] { open("text\na\na\na\n", options); }),
              HasSubstr("only 1 different texts"));
  options.validation_share = 1;
  message_of(ErrorCode::kInvalidArgument, [&] { open("text\na\nb\n", options); });
  options.validation_share = 0;
  const Dataset data = open("text\na\nb\n", options);
  message_of(ErrorCode::kOutOfRange, [&] { data.text(Split::kTrain, 2, 0); });
  message_of(ErrorCode::kOutOfRange, [&] { data.text(Split::kTrain, 0, 1); });
  message_of(ErrorCode::kOutOfRange, [&] { data.line(Split::kValidation, 0); });
  EXPECT_THAT(message_of(ErrorCode::kNotFound, [&] { data.column("txt"); }), HasSubstr("did you mean \"text\"?"));
}

}  // namespace
}  // namespace palimpsest::data
