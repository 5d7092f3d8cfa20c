// v*: the vector that, added at the lookup token, makes the model answer the target (Meng et al. 2022, equation 4; the
// references' loop as SCIENCE section 6 states it).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "editing/lookup_pass.hpp"

namespace palimpsest::editing {

// Hyperparameters under the field's names.
struct ValueOptions {
  std::int64_t v_num_grad_steps;
  double v_lr;
  double v_weight_decay;
  double clamp_norm_factor;  // |delta| <= this x |init|
  double kl_factor;
  double v_stop_probability;  // stop when the target's mean probability over the rows reaches this; 1 or more: never
};

struct ValueStep {
  double loss, nll, kl, weight_decay;
  double probability;  // mean over rows of exp(-nll of the row)
};

struct OptimisedValue {
  at::Tensor delta;  // [hidden]
  std::vector<ValueStep> steps;
};

// The objective of v* as a function of delta. Rows [0, target_rows) of the pass end with all target tokens but the last
// and are taught `target_ids`; the row after them is the KL row. `init` [hidden]: the value of the bare prompt. `pass`
// must outlive this object.
class ValueObjective {
 public:
  ValueObjective(const LookupPass& pass, const std::vector<LookupRow>& rows, std::int64_t target_rows,
                 std::vector<std::int64_t> target_ids, const at::Tensor& init, const ValueOptions& options);

  struct Evaluated {
    at::Tensor loss;  // scalar, differentiable in delta
    ValueStep parts;
  };
  // The first delta this is asked about is the unedited model of the KL term: it should be zero.
  Evaluated at(const at::Tensor& delta);

 private:
  const LookupPass* pass_;
  std::vector<Wanted> wanted_;
  std::int64_t target_rows_;
  ValueOptions options_;
  double init_norm_;
  at::Tensor initial_log_p_;  // of the KL row
};

// Minimises the objective from delta = 0. `each_step` may throw to stop.
OptimisedValue optimise_value(const LookupPass& pass, const std::vector<LookupRow>& rows, std::int64_t target_rows,
                              const std::vector<std::int64_t>& target_ids, const at::Tensor& init,
                              const ValueOptions& options, const std::function<void(std::int64_t step)>& each_step);

}  // namespace palimpsest::editing
