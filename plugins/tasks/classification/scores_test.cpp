#include "scores.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace palimpsest::classification {
namespace {

Confusion of(std::size_t labels, const std::vector<std::pair<std::size_t, std::size_t>>& pairs) {
  Confusion made(labels);
  for (const auto& [truth, predicted] : pairs) made.add(truth, predicted);
  return made;
}

// By hand, as sklearn.metrics.f1_score(truth, predicted, average="macro") defines it: truth 0 0 0 1 1 2, predicted
// 0 0 1 1 0 1. Label 0: precision 2/3, recall 2/3, F1 2/3. Label 1: precision 1/3, recall 1/2, F1 2/5. Label 2: 0.
TEST(Confusion, MacroF1OfThreeLabels) {
  const Confusion c = of(3, {{0, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 0}, {2, 1}});
  EXPECT_EQ(c.total(), 6);
  EXPECT_DOUBLE_EQ(c.accuracy(), 0.5);
  EXPECT_DOUBLE_EQ(c.macro_f1(), (2.0 / 3 + 2.0 / 5 + 0) / 3);
  EXPECT_DOUBLE_EQ(c.majority(), 0.5);
}

// Always the frequent label: accuracy 0.75, F1 of it 2*0.75/(1.75) = 6/7, of the other 0.
TEST(Confusion, MacroF1PunishesTheMajorityGuess) {
  const Confusion c = of(2, {{0, 0}, {0, 0}, {0, 0}, {1, 0}});
  EXPECT_DOUBLE_EQ(c.accuracy(), 0.75);
  EXPECT_DOUBLE_EQ(c.macro_f1(), 3.0 / 7);
  EXPECT_DOUBLE_EQ(c.majority(), 0.75);
}

// A label that is neither true nor predicted anywhere is not averaged in; one that is only predicted is, with 0.
TEST(Confusion, LabelsThatDoNotOccurAreNotAveraged) {
  EXPECT_DOUBLE_EQ(of(3, {{0, 0}, {1, 1}}).macro_f1(), 1);
  EXPECT_DOUBLE_EQ(of(3, {{0, 0}, {0, 2}}).macro_f1(), (2.0 / 3 + 0) / 2);
}

}  // namespace
}  // namespace palimpsest::classification
