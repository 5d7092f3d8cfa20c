#include "loss.hpp"

#include <ATen/ATen.h>

#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::preference {

at::Tensor dpo_loss(const at::Tensor& logprobs, const std::vector<std::int64_t>& lengths,
                    const std::vector<PairLogp>& reference, double beta) {
  std::vector<std::int64_t> response_of;
  for (std::size_t response = 0; response < lengths.size(); ++response) {
    response_of.insert(response_of.end(), static_cast<std::size_t>(lengths[response]),
                       static_cast<std::int64_t>(response));
  }
  std::vector<double> reference_margins;
  for (const PairLogp& pair : reference) reference_margins.push_back(pair.chosen - pair.rejected);
  // In float64: sums over many tokens, and their differences.
  const at::Tensor wide = logprobs.to(at::kDouble);
  const at::Tensor sums = at::zeros({static_cast<std::int64_t>(lengths.size())}, wide.options())
                              .index_add(0, sdk::on_device_of(wide, response_of), wide)
                              .view({-1, 2});
  const at::Tensor margins = sums.select(1, 0) - sums.select(1, 1) - sdk::on_device_of(wide, reference_margins);
  return at::softplus(-beta * margins).mean().to(at::kFloat);  // softplus(-x) = -log sigmoid(x)
}

}  // namespace palimpsest::preference
