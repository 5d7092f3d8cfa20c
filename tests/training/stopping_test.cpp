#include "training/stopping.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.hpp"

namespace palimpsest::training {
namespace {

// The index of the loss that stops, -1 for none, and why.
std::pair<int, StopReason> run(const StoppingOptions& options, const std::vector<double>& losses) {
  StoppingRule rule(options);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (const auto reason = rule.see(losses[i])) return {static_cast<int>(i), *reason};
  }
  return {-1, StopReason::kPlanned};
}

using Outcome = std::pair<int, StopReason>;

TEST(Stopping, ByLoss) {
  EXPECT_EQ(run({.loss = 3.0}, {4.0, 3.5, 3.0, 2.9}), Outcome(3, StopReason::kLoss));
  EXPECT_EQ(run({.loss = 3.0}, {2.5, 3.5}), Outcome(-1, StopReason::kPlanned));
}

TEST(Stopping, ByShareOfAReferenceGain) {
  const StoppingOptions options{.gain_share = 0.5, .reference_gain = 1.0};
  EXPECT_EQ(run(options, {4.0, 3.75, 3.5, 3.0}), Outcome(2, StopReason::kGainShare));
  EXPECT_EQ(run(options, {4.0, 3.75, 3.625}), Outcome(-1, StopReason::kPlanned));
}

TEST(Stopping, ByPatience) {
  EXPECT_EQ(run({.patience = 2}, {4.0, 3.0, 3.1, 2.9, 2.9, 3.0}), Outcome(5, StopReason::kPatience));
  EXPECT_EQ(run({.patience = 2}, {4.0, 4.1, 4.2}), Outcome(2, StopReason::kPatience));
}

TEST(Stopping, NothingIsOnByDefault) {
  EXPECT_FALSE(StoppingOptions{}.any());
  EXPECT_EQ(run({}, {4.0, 5.0, 6.0, 0.0}), Outcome(-1, StopReason::kPlanned));
}

TEST(Stopping, RefusesContradictions) {
  EXPECT_THROW(StoppingRule({.gain_share = 0.9}), Error);
  EXPECT_THROW(StoppingRule({.reference_gain = 0.9}), Error);
  EXPECT_THROW(StoppingRule({.gain_share = 1.5, .reference_gain = 1}), Error);
  EXPECT_THROW(StoppingRule({.patience = -1}), Error);
}

}  // namespace
}  // namespace palimpsest::training
