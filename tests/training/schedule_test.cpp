#include "training/schedule.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/error.hpp"

namespace palimpsest::training {
namespace {

TEST(Schedule, LinearRisesAndFallsToZeroJustOutsideTheRun) {
  const Schedule schedule{ScheduleKind::kLinear, 1.0, 0.2};
  EXPECT_EQ(warmup_steps(schedule, 10), 2);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1, 10), 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 2, 10), 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 3, 10), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 7, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 10, 10), 1.0 / 8.0);
}

TEST(Schedule, CosineAndConstant) {
  const Schedule cosine{ScheduleKind::kCosine, 2.0, 0.0};
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 1, 8), 2.0);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 5, 8), 1.0);
  EXPECT_NEAR(learning_rate(cosine, 3, 8), 1.0 + std::sqrt(0.5), 1e-12);
  EXPECT_GT(learning_rate(cosine, 8, 8), 0.0);
  const Schedule constant{ScheduleKind::kConstant, 3e-4, 0.1};
  EXPECT_DOUBLE_EQ(learning_rate(constant, 1, 20), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(constant, 3, 20), 3e-4);
  EXPECT_DOUBLE_EQ(learning_rate(constant, 20, 20), 3e-4);
}

TEST(Schedule, EveryStepMovesAndNoneExceedsThePeak) {
  for (const ScheduleKind kind : {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine}) {
    for (const double warmup : {0.0, 0.1, 0.5, 1.0}) {
      for (const std::int64_t total : {1, 2, 7, 100}) {
        for (std::int64_t step = 1; step <= total; ++step) {
          const double rate = learning_rate({kind, 1e-3, warmup}, step, total);
          EXPECT_GT(rate, 0.0) << name_of(kind) << " " << warmup << " " << step << "/" << total;
          EXPECT_LE(rate, 1e-3);
        }
      }
    }
  }
}

TEST(Schedule, Refuses) {
  EXPECT_THROW(learning_rate({ScheduleKind::kLinear, 1.0, 0.1}, 0, 10), Error);
  EXPECT_THROW(learning_rate({ScheduleKind::kLinear, 1.0, 0.1}, 11, 10), Error);
  EXPECT_THROW(learning_rate({ScheduleKind::kLinear, 0.0, 0.1}, 1, 10), Error);
  EXPECT_THROW(learning_rate({ScheduleKind::kLinear, 1.0, 1.5}, 1, 10), Error);
  EXPECT_EQ(parse_schedule("cosine"), ScheduleKind::kCosine);
  try {
    parse_schedule("liner");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("did you mean \"linear\"?"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace palimpsest::training
