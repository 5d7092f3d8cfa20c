#include "palimpsest/sdk/responses.hpp"

#include <gtest/gtest.h>

namespace palimpsest::sdk {
namespace {

TEST(Template, FillsNamedPlacesOnceAndLeavesOtherBraces) {
  const Template made("t", "{a} and {b}, {a}; {c} {", {"a", "b"});
  EXPECT_EQ(made.fill({"{b}", "{a}"}), "{b} and {a}, {b}; {c} {");
  EXPECT_EQ(Template("t", "{a}", {"a"}).fill({""}), "");
  EXPECT_THROW(made.fill({"one"}), Error);
}

TEST(Template, RefusesWhatLacksAPlace) {
  try {
    Template("template", "Q: {question}", {"context", "question"});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "template is \"Q: {question}\"; expected {context} in it");
  }
}

TEST(Template, RefusesSpaceAtItsEndWhereAsked) {
  EXPECT_NO_THROW(Template("t", "{a}:", {"a"}).refuse_space_at_end());
  for (const char* text : {"{a}: ", "{a}\n"}) EXPECT_THROW(Template("t", text, {"a"}).refuse_space_at_end(), Error);
}

TEST(Example, LearnsTheResponseAlone) {
  const Example made = example_of({{5, 6, 7}, {8, 9}});
  EXPECT_EQ(made.token_ids, (std::vector<std::int64_t>{5, 6, 7, 8, 9}));
  EXPECT_EQ(made.labels, (std::vector<std::int64_t>{-100, -100, -100, 8, 9}));
}

TEST(AskResponse, PredictsEachTokenFromTheOneBefore) {
  std::vector<std::vector<std::int64_t>> inputs = {{1}};
  std::vector<Position> at;
  std::vector<std::int64_t> targets;
  ask_response({{5, 6, 7}, {8, 9}}, inputs, at, targets);
  EXPECT_EQ(inputs.at(1), (std::vector<std::int64_t>{5, 6, 7, 8}));
  EXPECT_EQ(targets, (std::vector<std::int64_t>{8, 9}));
  ASSERT_EQ(at.size(), 2U);
  EXPECT_EQ(at[0].row, 1);
  EXPECT_EQ(at[0].position, 2);
  EXPECT_EQ(at[1].position, 3);
}

}  // namespace
}  // namespace palimpsest::sdk
