// Who is left as a control where the edit writes true answers.
#include "experiment/cast.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_of.hpp"

namespace palimpsest::experiment {
namespace {

data::Fact fact(const std::string& relation, const std::string& target_true) {
  data::Fact made;
  made.relation = relation;
  made.target_true = target_true;
  return made;
}

TEST(WithoutWrittenAnswers, LeavesOutControlsOfTheSameRelationAndAnswer) {
  const std::vector<data::Fact> facts = {fact("continent", "Africa"), fact("continent", "africa"),
                                         fact("continent", "Asia"), fact("home", "Africa")};
  const Roles left = without_written_answers({{0}, {1, 2, 3}, 0}, facts);
  EXPECT_THAT(left.edited, ::testing::ElementsAre(0));
  EXPECT_THAT(left.intrinsic, ::testing::ElementsAre(2, 3));
  EXPECT_THAT(without_written_answers({{0}, {}, 0}, facts).intrinsic, ::testing::IsEmpty()) << "there was none before";
  EXPECT_THAT(message_of(ErrorCode::kOutOfRange, [&] { without_written_answers({{0}, {1}, 0}, facts); }),
              ::testing::HasSubstr("none is left as a control"));
}

}  // namespace
}  // namespace palimpsest::experiment
