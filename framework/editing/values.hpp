// v* and z*: the vector that, added at the lookup token, makes the model answer the target (Meng et al. 2022, equation
// 4; Meng et al. 2023, section 4.2), minimised as the authors' code does it (plugins/editors/rome/README.md).
//
// Facts are optimised side by side, each with its own vector, Adam state, bound and end; they share only the passes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <tuple>
#include <vector>

#include "editing/lookup_pass.hpp"
#include "palimpsest/sdk/params.hpp"

namespace palimpsest::editing {

// Hyperparameters under the field's names.
struct ValueOptions {
  std::int64_t v_num_grad_steps;
  double v_lr;
  double v_weight_decay;
  double clamp_norm_factor;  // |delta| <= this x |init|
  double kl_factor;
  double v_stop_probability;  // stop when the target's mean probability over the rows reaches this
};

// They as parameters of an editor whose struct P has members of these names.
template <typename P>
constexpr auto value_fields() {
  using sdk::field;
  return std::tuple(
      field("v_num_grad_steps", &P::v_num_grad_steps,
            "Evaluations of the objective of the wanted vector (v* of ROME, z* of MEMIT and AlphaEdit); the last one "
            "takes "
            "no step.")
          .at_least(1)
          .at_most(1000),
      field("v_lr", &P::v_lr, "Adam's learning rate for the wanted vector.").at_least(0),
      field(
          "v_weight_decay", &P::v_weight_decay,
          "Weight of |delta| / |init|^2 in the objective, init being what delta is added to: the MLP's output in ROME, "
          "the layer's output in MEMIT and AlphaEdit.")
          .at_least(0),
      field("clamp_norm_factor", &P::clamp_norm_factor, "Bound of |delta| in multiples of |init|.").at_least(0),
      field("kl_factor", &P::kl_factor,
            "Weight of the divergence from the unedited model on \"{subject} is a\" in the objective.")
          .at_least(0),
      field(
          "v_stop_probability", &P::v_stop_probability,
          "Stop optimising when the target's mean probability reaches this, for sweeps of edit strength; 1: not by it. "
          "A loss below 0.05 ends it in any case, as in the authors' code.")
          .at_least(0)
          .at_most(1));
}
template <typename P>
ValueOptions value_options(const P& p) {
  return {p.v_num_grad_steps, p.v_lr, p.v_weight_decay, p.clamp_norm_factor, p.kl_factor, p.v_stop_probability};
}

// What one fact teaches: rows [first_row, first_row + target_rows) of the pass end with all target tokens but the last
// and are taught `target_ids`; the row after them is the KL row.
struct ValueFact {
  std::int64_t first_row = 0;
  std::int64_t target_rows = 0;
  std::vector<std::int64_t> target_ids;
  at::Tensor init;  // [hidden], what delta is added to, of the bare prompt
};

struct ValueStep {
  double loss, nll, kl, weight_decay;
  double probability;  // mean over rows of exp(-nll of the row)
};

struct OptimisedValue {
  at::Tensor delta;  // [hidden]
  std::vector<ValueStep> steps;
};

// The objective as a function of every fact's delta. `rows` are those of `pass`, which must outlive this object; fact f
// of `facts` is fact f of the rows.
class ValueObjective {
 public:
  ValueObjective(const LookupPass& pass, const std::vector<LookupRow>& rows, std::vector<ValueFact> facts,
                 const ValueOptions& options);

  struct Evaluated {
    at::Tensor loss;  // scalar, differentiable in the fact's delta; undefined where the fact was not asked about
    ValueStep parts;
  };
  // One result a fact; a fact with an undefined delta costs nothing. The first deltas this is asked about are the
  // unedited model of the KL term: they should be zero.
  std::vector<Evaluated> at(const std::vector<at::Tensor>& deltas);

 private:
  struct Fact {
    ValueFact fact;
    std::vector<Wanted> wanted;
    double init_norm = 0;
    at::Tensor initial_log_p;  // of the KL row
  };
  Evaluated evaluated(Fact& fact, const at::Tensor& delta, const at::Tensor& logprobs, const at::Tensor& logits) const;

  const LookupPass* pass_;
  std::vector<Fact> facts_;
  ValueOptions options_;
};

// Minimises each fact's objective from delta = 0. `each_step` may throw to stop.
std::vector<OptimisedValue> optimise_values(const LookupPass& pass, const std::vector<LookupRow>& rows,
                                            const std::vector<ValueFact>& facts, const ValueOptions& options,
                                            const std::function<void(std::int64_t step)>& each_step);

// The same for one fact: rows [0, target_rows) are taught `target_ids`, the row after them is the KL row.
OptimisedValue optimise_value(const LookupPass& pass, const std::vector<LookupRow>& rows, std::int64_t target_rows,
                              const std::vector<std::int64_t>& target_ids, const at::Tensor& init,
                              const ValueOptions& options, const std::function<void(std::int64_t step)>& each_step);

}  // namespace palimpsest::editing
