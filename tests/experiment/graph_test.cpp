#include "experiment/graph.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace palimpsest::experiment {
namespace {

std::vector<std::string> ids(const Graph& graph) {
  std::vector<std::string> list;
  for (const auto& node : graph.nodes()) list.push_back(node.id);
  return list;
}

std::string refusal(std::vector<Node> nodes) {
  try {
    const Graph graph(std::move(nodes));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "accepted";
}

TEST(Graph, OrdersDependenciesFirstAndKeepsTheGivenOrderOtherwise) {
  const Graph graph({{"d", "", {"b", "c"}}, {"c", "", {"a"}}, {"b", "", {"a", "a"}}, {"a", "", {}}, {"e", "", {}}});
  EXPECT_EQ(ids(graph), (std::vector<std::string>{"a", "c", "b", "d", "e"}));
  EXPECT_EQ(graph.dependencies(graph.index_of("d")), (std::vector<std::size_t>{2, 1}));
  EXPECT_EQ(graph.dependencies(graph.index_of("b")), (std::vector<std::size_t>{0}))
      << "a repeated dependency counts once";
  EXPECT_EQ(graph.dependents(graph.index_of("a")).size(), 2u);
}

TEST(Graph, RefusesWhatIsNotAPlan) {
  EXPECT_EQ(refusal({{"x", "", {}}, {"x", "", {}}}), "two nodes of the plan have the id \"x\"");
  EXPECT_EQ(refusal({{"edit_rome", "", {}}, {"cell", "", {"edit_rom"}}}),
            "node \"cell\" needs \"edit_rom\", which is not in the plan (did you mean \"edit_rome\"?)");
  EXPECT_EQ(refusal({{"z", "", {}}, {"a", "", {"c", "z"}}, {"b", "", {"a"}}, {"c", "", {"b"}}, {"y", "", {"a"}}}),
            "the plan has a cycle: a needs c needs b needs a");
  EXPECT_EQ(refusal({{"self", "", {"self"}}}), "the plan has a cycle: self needs self");
  for (const std::string id : {"", "a/b", "..", ".hidden", "a b", "\xc3\xa4", "a\nb"}) {
    EXPECT_NE(refusal({{id, "", {}}}).find("cannot be a file name"), std::string::npos) << id;
  }
  EXPECT_NE(refusal({{std::string(201, 'a'), "", {}}}).find("cannot be a file name"), std::string::npos);
  EXPECT_EQ(refusal({{std::string(200, 'a'), "", {}}}), "accepted");
}

TEST(Graph, UnknownIdSuggestsTheNearest) {
  const Graph graph(std::vector<Node>{{"base", "", {}, false}});
  try {
    graph.index_of("bse");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_STREQ(error.what(), "the plan has no node \"bse\" (did you mean \"base\"?)");
  }
}

class Select : public ::testing::Test {
 protected:
  // 0 base, 1 edit_a, 2 edit_b, 3..6 cells, 7 summary
  Graph graph_{{{"base", "", {}},
                {"edit_a", "", {"base"}},
                {"edit_b", "", {"base"}},
                {"cell_1", "", {"edit_a"}, true},
                {"cell_2", "", {"edit_a"}, true},
                {"cell_3", "", {"edit_b"}, true},
                {"cell_4", "", {"edit_b"}, true},
                {"summary", "", {"cell_1", "cell_2", "cell_3", "cell_4"}}}};
  std::vector<bool> done_ = std::vector<bool>(8, false);
  using enum Need;
  static constexpr Need D = Need::kDone, W = Need::kWanted, U = Need::kUnneeded, B = Need::kBeyondLimit;
};

TEST_F(Select, EverythingWithoutALimit) {
  EXPECT_EQ(select(graph_, done_, {}), (std::vector<Need>{W, W, W, W, W, W, W, W}));
}

TEST_F(Select, ALimitTakesTheFirstCellsThatAreNotDoneAndWhatTheyNeed) {
  EXPECT_EQ(select(graph_, done_, 1), (std::vector<Need>{W, W, B, W, B, B, B, B}));
  done_[0] = done_[1] = done_[3] = true;
  EXPECT_EQ(select(graph_, done_, 2), (std::vector<Need>{D, D, W, D, W, W, B, B}));
  EXPECT_EQ(select(graph_, done_, 3), (std::vector<Need>{D, D, W, D, W, W, W, W}));
  EXPECT_EQ(select(graph_, done_, 0), (std::vector<Need>{D, D, B, D, B, B, B, B}));
}

TEST_F(Select, AStageThatNobodyNeedsAnyMoreIsNotComputedAgain) {
  done_.assign(8, true);
  done_[1] = false;
  EXPECT_EQ(select(graph_, done_, {}), (std::vector<Need>{D, U, D, D, D, D, D, D}));
  done_[4] = false;
  EXPECT_EQ(select(graph_, done_, {}), (std::vector<Need>{D, W, D, D, W, D, D, D}));
}

}  // namespace
}  // namespace palimpsest::experiment
