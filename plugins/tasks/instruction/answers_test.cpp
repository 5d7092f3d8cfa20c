#include "answers.hpp"

#include <gtest/gtest.h>

namespace palimpsest::instruction {
namespace {

TEST(InstructionAnswers, AreComparedWithoutSpaceCaseAndFullStop) {
  EXPECT_TRUE(matches(" Answer 2.\n\n### Instruction", "Answer 2"));
  EXPECT_TRUE(matches("\nanswer 2", "Answer 2."));
  EXPECT_TRUE(matches("TRUE", "true"));
  EXPECT_FALSE(matches("Answer 21", "Answer 2"));
  EXPECT_FALSE(matches("The answer is answer 2", "Answer 2"));
  EXPECT_FALSE(matches("", "Answer 2"));
  EXPECT_FALSE(matches("Answer 2..", "Answer 2"));
}

TEST(InstructionAnswers, OfSeveralLinesAreComparedWhole) {
  EXPECT_TRUE(matches("one\ntwo\n", "one\ntwo"));
  EXPECT_FALSE(matches("one", "one\ntwo"));
  EXPECT_FALSE(matches("one\ntwo\nthree", "one\ntwo"));
}

TEST(InstructionAnswers, OfNothingAreEmpty) {
  EXPECT_EQ(plain_answer(" . "), "");
  EXPECT_EQ(plain_answer(""), "");
  EXPECT_EQ(plain_answer(" A. "), "a");
}

}  // namespace
}  // namespace palimpsest::instruction
