#include "palimpsest/sdk/dataset_task.hpp"

#include <gtest/gtest.h>

namespace palimpsest::sdk {
namespace {

class Rowed : public RowTask<PromptedRow> {
 public:
  Rowed() : RowTask(Host(nullptr)) {
    rows(PALIMPSEST_TRAIN) = {{"one", {{1}, {2}}}, {"two", {{3, 4}, {5}}}};
    rows(PALIMPSEST_VALIDATION) = {{"three", {{6}, {7}}}};
  }
  void prepare(Model) override {}
  std::span<const palimpsest_column> score_columns() const override { return {}; }
  void score(Model, const sdk::Rows&) override {}
  using RowTask::scored_rows;
};

TEST(RowTask, GivesItsRowsAndRefusesWhatIsNotThere) {
  Rowed task;
  EXPECT_EQ(task.count(PALIMPSEST_TRAIN), 2);
  EXPECT_EQ(task.count(PALIMPSEST_VALIDATION), 1);
  EXPECT_EQ(task.example(PALIMPSEST_TRAIN, 1).token_ids, (std::vector<std::int64_t>{3, 4, 5}));
  EXPECT_EQ(task.example(PALIMPSEST_VALIDATION, 0).labels, (std::vector<std::int64_t>{-100, 7}));
  EXPECT_THROW(task.example(PALIMPSEST_VALIDATION, 1), Error);
  EXPECT_THROW(task.example(PALIMPSEST_TRAIN, -1), Error);
}

TEST(RowTask, ScoresTheFirstOfTheValidationSplit) {
  Rowed task;
  ASSERT_EQ(task.scored_rows(5).size(), 1U);
  EXPECT_EQ(task.scored_rows(5).front().prompt, "three");
  EXPECT_TRUE(task.scored_rows(0).empty());
}

}  // namespace
}  // namespace palimpsest::sdk
