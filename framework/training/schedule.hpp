// The learning rate over a run.
//
// The rate is 0 just before the first step and, unless constant, 0 just after the last one, so that every step moves
// the weights. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace palimpsest::training {

enum class ScheduleKind { kConstant, kLinear, kCosine };

std::string_view name_of(ScheduleKind kind);
// Throws Error(kInvalidArgument) with "did you mean" for what is not "constant", "linear" or "cosine".
ScheduleKind parse_schedule(std::string_view name);

struct Schedule {
  ScheduleKind kind = ScheduleKind::kLinear;
  double peak = 0;      // highest rate
  double warmup = 0.1;  // share of the steps in which the rate rises, 0 .. 1
};

// Steps in which the rate rises: warmup * total, rounded.
std::int64_t warmup_steps(const Schedule& schedule, std::int64_t total);

// The rate of step 1 .. total. With w warm-up steps: peak * step / (w + 1) up to step w, peak at step w + 1, then peak
// (constant), peak * (total + 1 - step) / (total - w) (linear), or half a cosine that reaches 0 at step total + 1.
// Throws Error: kInvalidArgument for a peak or warm-up outside its range, kOutOfRange for the step.
double learning_rate(const Schedule& schedule, std::int64_t step, std::int64_t total);

}  // namespace palimpsest::training
