#include "training/schedule.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/error.hpp"

namespace palimpsest::training {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"constant", "linear", "cosine"};

}  // namespace

std::string_view name_of(ScheduleKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

ScheduleKind parse_schedule(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<ScheduleKind>(i);
  }
  fail(ErrorCode::kInvalidArgument, "schedule: found \"", name, "\", expected constant, linear or cosine",
       did_you_mean(name, kNames));
}

std::int64_t warmup_steps(const Schedule& schedule, std::int64_t total) {
  const auto rising = static_cast<std::int64_t>(std::floor(schedule.warmup * static_cast<double>(total) + 0.5));
  return std::clamp<std::int64_t>(rising, 0, total);
}

double learning_rate(const Schedule& schedule, std::int64_t step, std::int64_t total) {
  if (!(schedule.peak > 0) || !std::isfinite(schedule.peak)) {
    fail(ErrorCode::kInvalidArgument, "learning rate: found ", schedule.peak, ", expected a finite number above 0");
  }
  if (!(schedule.warmup >= 0 && schedule.warmup <= 1)) {
    fail(ErrorCode::kInvalidArgument, "warm-up: found ", schedule.warmup, ", expected a share of the steps, 0 to 1");
  }
  if (step < 1 || step > total) fail(ErrorCode::kOutOfRange, "step ", step, ": the run has steps 1 to ", total);
  const std::int64_t rising = warmup_steps(schedule, total);
  if (step <= rising) return schedule.peak * static_cast<double>(step) / static_cast<double>(rising + 1);
  const double done = static_cast<double>(step - 1 - rising) / static_cast<double>(total - rising);
  switch (schedule.kind) {
    case ScheduleKind::kConstant: return schedule.peak;
    case ScheduleKind::kLinear: return schedule.peak * (1.0 - done);
    case ScheduleKind::kCosine: return schedule.peak * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
  }
  fail(ErrorCode::kInternal, "no such schedule: ", static_cast<int>(schedule.kind));
}

}  // namespace palimpsest::training
