#include "questions.hpp"

#include <gtest/gtest.h>

namespace palimpsest::multiple_choice {
namespace {

std::string refusal(const std::vector<Row>& rows) {
  try {
    gather(rows, 10);
  } catch (const sdk::Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Gather, JoinsNeighbouringRows) {
  const auto questions = gather({{"a", "1", "The sky is", "blue", "true"},
                                 {"a", "1", "The sky is", "loud", "false"},
                                 {"b", "1", "Snow is", "hot", "0"},
                                 {"b", "1", "Snow is", "green", "no"},
                                 {"b", "1", "Snow is", "cold", "1"}},
                                10);
  ASSERT_EQ(questions.size(), 2U);
  EXPECT_EQ(questions[0].correct, 0U);
  EXPECT_EQ(questions[0].choices, (std::vector<std::string>{"blue", "loud"}));
  EXPECT_EQ(questions[1].set, "b");
  EXPECT_EQ(questions[1].correct, 2U);
}

TEST(Gather, KeepsTheFirstOfEachSet) {
  std::vector<Row> rows;
  for (const char* set : {"a", "b"}) {
    for (const char* id : {"1", "2", "3"}) {
      rows.push_back({set, id, "It is", "so", "true"});
      rows.push_back({set, id, "It is", "not", "false"});
    }
  }
  const auto questions = gather(rows, 2);
  ASSERT_EQ(questions.size(), 4U);
  EXPECT_EQ(questions[1].id, "2");
  EXPECT_EQ(questions[2].set, "b");
}

TEST(Gather, NamesTheQuestionThatIsWrong) {
  EXPECT_EQ(refusal({{"a", "7", "It is", "so", "true"}}),
            "question 7 of the set a: found one choice, expected two or more in neighbouring rows");
  EXPECT_EQ(refusal({{"a", "7", "It is", "so", "true"}, {"a", "7", "It is", "not", "true"}}),
            "question 7 of the set a: found 2 correct choices, expected one");
  EXPECT_EQ(refusal({{"a", "7", "It is", "so", "false"}, {"a", "7", "It is", "not", "false"}}),
            "question 7 of the set a: found 0 correct choices, expected one");
  EXPECT_EQ(refusal({{"a", "7", "It is", "so", "true"}, {"a", "7", "It was", "not", "false"}}),
            "question 7 of the set a: its rows have different contexts");
  EXPECT_EQ(refusal({{"a", "7", "It is", "so", "maybe"}}),
            "question 7: `correct` is \"maybe\"; expected true or false");
  EXPECT_EQ(refusal({{"a", "7", "It is", "", "true"}}), "question 7 of the set a: a choice is empty");
}

TEST(Best, TakesTheFirstOfEqualOnes) {
  EXPECT_EQ(best({-3, -1, -1}), 1U);
  EXPECT_EQ(best({-3}), 0U);
}

TEST(LengthOf, CountsCharacters) { EXPECT_EQ(length_of("Zürich"), 6); }

}  // namespace
}  // namespace palimpsest::multiple_choice
