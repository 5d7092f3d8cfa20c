#include "editing/lookup_pass.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::editing {
namespace {

// Up to so many positions all logits are taken at once, kept for the backward pass: two passes over the head's weights
// in place of the five that fused log-probabilities beside separate logits cost. Above it memory decides (49152 tokens:
// 50 MB of logits).
constexpr std::size_t kMostJointRows = 256;

std::vector<std::int64_t> slice(const std::vector<std::int64_t>& ids, std::int64_t begin, std::int64_t end) {
  return {ids.begin() + begin, ids.begin() + end};
}

// Puts [part, D], the values of the rows `at`, into their places of `whole`.
void scatter(at::Tensor& whole, const at::Tensor& part, const std::vector<std::int64_t>& at, std::size_t rows) {
  if (!whole.defined()) whole = at::empty({static_cast<std::int64_t>(rows), part.size(1)}, part.options());
  whole.index_copy_(0, at::tensor(at, at::kLong), part);
}

}  // namespace

LookupPass::LookupPass(const sdk::Model& model, std::vector<LookupRow> rows, std::int64_t layer)
    : model_(&model), rows_(std::move(rows)), layer_(layer) {
  const c10::NoGradGuard no_grad;
  std::vector<std::int64_t> with_prefix, without;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    (rows_[i].lookup > 0 ? with_prefix : without).push_back(static_cast<std::int64_t>(i));
  }
  if (!with_prefix.empty()) add_group(std::move(with_prefix), true);
  if (!without.empty()) add_group(std::move(without), false);
}

void LookupPass::add_group(std::vector<std::int64_t> rows, bool with_prefix) {
  Group group;
  group.rows = std::move(rows);
  std::vector<std::vector<std::int64_t>> prefixes;
  for (const std::int64_t row : group.rows) {
    const LookupRow& r = rows_[static_cast<std::size_t>(row)];
    const auto end = static_cast<std::int64_t>(r.ids.size());
    if (with_prefix) prefixes.push_back(slice(r.ids, 0, r.lookup));
    group.suffix.push_back(slice(r.ids, r.lookup, end));
  }
  if (with_prefix) group.cache = model_->run(sdk::Forward(prefixes).returning_cache()).cache;

  sdk::Forward below(group.suffix);
  if (with_prefix) below.continuing(group.cache);
  below.to_layer(layer_).capture(sdk::mlp_key_site(layer_)).capture(sdk::mlp_value_site(layer_));
  const sdk::ForwardResult result = model_->run(below);
  group.hidden = sdk::torch_tensor(result.hidden).detach();
  scatter(keys_, sdk::torch_tensor(result.captured[0]).select(1, 0), group.rows, rows_.size());
  scatter(values_, sdk::torch_tensor(result.captured[1]).select(1, 0), group.rows, rows_.size());
  scatter(outputs_, group.hidden.select(1, 0), group.rows, rows_.size());
  groups_.push_back(std::move(group));
}

LookupPass::Result LookupPass::run(const at::Tensor& delta, const std::vector<Wanted>& wanted,
                                   const std::vector<std::int64_t>& logit_rows) const {
  std::vector<at::Tensor> logprobs, logits;
  std::vector<std::int64_t> logprob_order, logit_order;
  for (const Group& group : groups_) {
    const auto place = [&](std::int64_t row) {
      const auto found = std::find(group.rows.begin(), group.rows.end(), row);
      return found == group.rows.end() ? -1 : found - group.rows.begin();
    };
    std::vector<sdk::Position> at_targets, at_logits;
    std::vector<std::int64_t> targets;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::int64_t row = place(wanted[i].row);
      if (row < 0) continue;
      at_targets.push_back({row, wanted[i].position - rows_[static_cast<std::size_t>(wanted[i].row)].lookup});
      targets.push_back(wanted[i].target);
      logprob_order.push_back(static_cast<std::int64_t>(i));
    }
    for (std::size_t i = 0; i < logit_rows.size(); ++i) {
      const std::int64_t row = place(logit_rows[i]);
      if (row < 0) continue;
      at_logits.push_back({row, 0});
      logit_order.push_back(static_cast<std::int64_t>(i));
    }
    if (targets.empty() && at_logits.empty()) continue;

    const at::Tensor changed = at::cat({group.hidden.narrow(1, 0, 1) + delta, group.hidden.slice(1, 1)}, 1);
    sdk::Forward above(group.suffix);
    if (group.cache.get() != nullptr) above.continuing(group.cache);
    above.from_layer(layer_ + 1, sdk::to_handle(model_->host(), changed));
    if (targets.size() + at_logits.size() <= kMostJointRows) {
      std::vector<sdk::Position> at = at_targets;
      at.insert(at.end(), at_logits.begin(), at_logits.end());
      const sdk::ForwardResult result = model_->run(above.logits(std::move(at)));
      const at::Tensor all = sdk::torch_tensor(result.logits);
      const auto split = static_cast<std::int64_t>(targets.size());
      if (split > 0) {
        const at::Tensor index = at::tensor(targets, at::kLong).unsqueeze(1);
        logprobs.push_back(at::log_softmax(all.narrow(0, 0, split), 1, at::kFloat).gather(1, index).squeeze(1));
      }
      if (!at_logits.empty()) logits.push_back(all.slice(0, split));
      continue;
    }
    const sdk::ForwardResult result = model_->run(above.logprobs(at_targets, targets).logits(at_logits));
    if (!targets.empty()) logprobs.push_back(sdk::torch_tensor(result.logprobs));
    if (!at_logits.empty()) logits.push_back(sdk::torch_tensor(result.logits));
  }
  const auto in_order = [](const std::vector<at::Tensor>& parts, const std::vector<std::int64_t>& order) {
    if (parts.empty()) return at::Tensor();
    return at::cat(parts, 0).index_select(0, at::tensor(order, at::kLong).argsort());
  };
  return {in_order(logprobs, logprob_order), in_order(logits, logit_order)};
}

}  // namespace palimpsest::editing
