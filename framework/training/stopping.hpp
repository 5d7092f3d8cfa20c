// When a run ends before its last planned step: by what its validation losses say.
//
// A StoppingRule sees every validation loss of a run once, in order; the first one, from before the first step, is what
// gains are counted from and never stops a run. One object, one run.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace palimpsest::training {

enum class StopReason { kPlanned, kLoss, kGainShare, kPatience };

// As it stands in results: "planned", "stop_loss", "stop_gain_share", "patience".
std::string_view name_of(StopReason reason);

struct StoppingOptions {
  double loss = 0;            // stop when below; 0: off
  double gain_share = 0;      // stop when this share of reference_gain is reached; 0: off
  double reference_gain = 0;  // nats per token by which a reference run's validation loss fell
  std::int64_t patience = 0;  // stop after so many evaluations without a new lowest loss; 0: off

  bool any() const { return loss > 0 || gain_share > 0 || patience > 0; }
};

class StoppingRule {
 public:
  // Throws Error(kInvalidArgument) for options that contradict each other.
  explicit StoppingRule(const StoppingOptions& options);

  // The reason to stop, when there is one; of several that hold, the first in the order of StopReason.
  std::optional<StopReason> see(double validation_loss);

 private:
  StoppingOptions options_;
  std::optional<double> first_;
  double lowest_ = 0;
  std::int64_t without_lowest_ = 0;
};

}  // namespace palimpsest::training
