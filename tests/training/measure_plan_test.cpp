#include "training/measure_plan.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace palimpsest::training {
namespace {

using Steps = std::vector<std::int64_t>;

TEST(MeasurePlan, ListedStepsInsideTheRunAndTheLast) {
  EXPECT_EQ(measuring_steps({.steps = {0, 1, 2, 5, 10, 20, 40}, .every = 0, .epochs = {}}, 12, 100),
            (Steps{0, 1, 2, 5, 10, 12}));
  EXPECT_EQ(measuring_steps({}, 7, 100), (Steps{7}));
}

TEST(MeasurePlan, EveryNAndFractionsOfEpochs) {
  EXPECT_EQ(measuring_steps({.steps = {}, .every = 4, .epochs = {}}, 10, 100), (Steps{4, 8, 10}));
  EXPECT_EQ(measuring_steps({.steps = {}, .every = 5, .epochs = {}}, 10, 100), (Steps{5, 10}));
  // An epoch of 30 steps: 0.1 of it is done after step 3, a quarter within step 8.
  EXPECT_EQ(measuring_steps({.steps = {}, .every = 0, .epochs = {0.1, 0.25, 1.0, 2.0}}, 40, 30), (Steps{3, 8, 30, 40}));
  EXPECT_EQ(measuring_steps({.steps = {0, 3}, .every = 3, .epochs = {0.1}}, 6, 30), (Steps{0, 3, 6}));
}

TEST(MeasurePlan, NumberOfSteps) {
  EXPECT_EQ(planned_steps(100, 0, 8), 100);
  EXPECT_EQ(planned_steps(0, 2, 8), 16);
  EXPECT_EQ(planned_steps(0, 0.3, 10), 3);
  EXPECT_EQ(planned_steps(0, 0.01, 10), 1);
  EXPECT_EQ(planned_steps(10, 2, 8), 10);
  EXPECT_EQ(planned_steps(100, 2, 8), 16);
  EXPECT_THROW(planned_steps(0, 0, 8), Error);
  EXPECT_THROW(planned_steps(-1, 1, 8), Error);
  EXPECT_THROW(planned_steps(0, 1e300, 8), Error);
}

TEST(MeasurePlan, RefusesNegativeEntries) {
  EXPECT_THROW(measuring_steps({.steps = {-1}, .every = 0, .epochs = {}}, 10, 10), Error);
  EXPECT_THROW(measuring_steps({.steps = {}, .every = -1, .epochs = {}}, 10, 10), Error);
  EXPECT_THROW(measuring_steps({.steps = {}, .every = 0, .epochs = {-0.5}}, 10, 10), Error);
}

}  // namespace
}  // namespace palimpsest::training
