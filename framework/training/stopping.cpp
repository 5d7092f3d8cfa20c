#include "training/stopping.hpp"

#include "base/error.hpp"

namespace palimpsest::training {

std::string_view name_of(StopReason reason) {
  switch (reason) {
    case StopReason::kPlanned: return "planned";
    case StopReason::kLoss: return "stop_loss";
    case StopReason::kGainShare: return "stop_gain_share";
    case StopReason::kPatience: return "patience";
  }
  fail(ErrorCode::kInternal, "no such stop reason: ", static_cast<int>(reason));
}

StoppingRule::StoppingRule(const StoppingOptions& options) : options_(options) {
  if (!(options.loss >= 0) || !(options.gain_share >= 0 && options.gain_share <= 1) || !(options.reference_gain >= 0) ||
      options.patience < 0) {
    fail(ErrorCode::kInvalidArgument, "stopping: found stop_loss ", options.loss, ", stop_gain_share ",
         options.gain_share, ", stop_reference_gain ", options.reference_gain, ", patience ", options.patience,
         "; expected numbers of at least 0, stop_gain_share of at most 1");
  }
  if ((options.gain_share > 0) != (options.reference_gain > 0)) {
    fail(ErrorCode::kInvalidArgument, "stopping: found stop_gain_share ", options.gain_share,
         " and stop_reference_gain ", options.reference_gain, "; expected both above 0, or both 0");
  }
}

std::optional<StopReason> StoppingRule::see(double validation_loss) {
  if (!first_) {
    first_ = lowest_ = validation_loss;
    return std::nullopt;
  }
  if (validation_loss < lowest_) {
    lowest_ = validation_loss;
    without_lowest_ = 0;
  } else {
    ++without_lowest_;
  }
  if (options_.loss > 0 && validation_loss < options_.loss) return StopReason::kLoss;
  if (options_.gain_share > 0 && *first_ - validation_loss >= options_.gain_share * options_.reference_gain) {
    return StopReason::kGainShare;
  }
  if (options_.patience > 0 && without_lowest_ >= options_.patience) return StopReason::kPatience;
  return std::nullopt;
}

}  // namespace palimpsest::training
