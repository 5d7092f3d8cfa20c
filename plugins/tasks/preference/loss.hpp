// Direct preference optimisation (Rafailov et al. 2023, equation 7) on log-probabilities of responses.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace palimpsest::preference {

// What the reference policy gives the two responses of a pair: sums of log p over their tokens, nat.
struct PairLogp {
  double chosen = 0, rejected = 0;
};

// The mean over pairs of -log sigmoid(beta (log pi(y_w|x) - log pi_ref(y_w|x) - log pi(y_l|x) + log pi_ref(y_l|x))), a
// float32 scalar, differentiable in `logprobs`. logprobs [n]: log p of every token of the responses, response after
// response in the order chosen, rejected, chosen, ...; lengths [2 pairs]: their numbers of tokens, which sum to n.
at::Tensor dpo_loss(const at::Tensor& logprobs, const std::vector<std::int64_t>& lengths,
                    const std::vector<PairLogp>& reference, double beta);

}  // namespace palimpsest::preference
