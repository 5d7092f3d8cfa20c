#include "training/measure_plan.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.hpp"

namespace palimpsest::training {
namespace {

// 0.1 * 30 is a little above 3; a step more or less must not come of that.
constexpr double kSlack = 1e-9;

}  // namespace

std::int64_t planned_steps(std::int64_t max_steps, double epochs, std::int64_t steps_per_epoch) {
  if (max_steps < 0 || !(epochs >= 0) || !std::isfinite(epochs) || (max_steps == 0 && epochs == 0)) {
    fail(ErrorCode::kInvalidArgument, "training: found max_steps ", max_steps, " and epochs ", epochs,
         "; expected numbers of at least 0, one of them above 0");
  }
  if (epochs == 0) return max_steps;
  const double whole = std::floor(epochs * static_cast<double>(steps_per_epoch) + kSlack);
  // Beyond what a run can reach the bound is not one, and would not fit the integer.
  if (whole > 1e15) {
    if (max_steps > 0) return max_steps;
    fail(ErrorCode::kInvalidArgument, "training: epochs ", epochs, " make ", whole, " steps");
  }
  const std::int64_t steps = std::max<std::int64_t>(static_cast<std::int64_t>(whole), 1);
  return max_steps > 0 ? std::min(max_steps, steps) : steps;
}

std::vector<std::int64_t> measuring_steps(const MeasureOptions& options, std::int64_t total,
                                          std::int64_t steps_per_epoch) {
  std::set<std::int64_t> steps = {total};
  for (const std::int64_t step : options.steps) {
    if (step < 0) fail(ErrorCode::kInvalidArgument, "measure_steps: found ", step, ", expected 0 or more");
    if (step <= total) steps.insert(step);
  }
  if (options.every < 0) {
    fail(ErrorCode::kInvalidArgument, "measure_every: found ", options.every, ", expected 0 or more");
  }
  for (std::int64_t step = options.every; options.every > 0 && step <= total; step += options.every) steps.insert(step);
  for (const double share : options.epochs) {
    if (!(share >= 0)) fail(ErrorCode::kInvalidArgument, "measure_epochs: found ", share, ", expected 0 or more");
    const double step = std::ceil(share * static_cast<double>(steps_per_epoch) - kSlack);
    if (step <= static_cast<double>(total)) steps.insert(static_cast<std::int64_t>(step));
  }
  return {steps.begin(), steps.end()};
}

}  // namespace palimpsest::training
