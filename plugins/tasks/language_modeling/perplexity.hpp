// Negative log-likelihood per token, summed over batches.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

namespace palimpsest::language_modeling {

struct Likelihood {
  double sum = 0;           // of log p, nat
  std::int64_t tokens = 0;  // predicted

  void add(std::span<const float> logprobs) {
    for (const float logp : logprobs) sum += static_cast<double>(logp);
    tokens += static_cast<std::int64_t>(logprobs.size());
  }
  double mean_nll() const { return -sum / static_cast<double>(tokens); }
  double perplexity() const { return std::exp(mean_nll()); }
};

}  // namespace palimpsest::language_modeling
