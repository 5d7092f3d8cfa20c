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

// Puts [part, D], the values of the rows `at`, into their places of `whole`: float32 also of a model in bfloat16, so
// that what an edit makes of them (means, steps, solves) is not rounded on the way.
void scatter(at::Tensor& whole, const at::Tensor& part, const std::vector<std::int64_t>& at, std::size_t rows) {
  const at::Tensor wide = at::isReducedFloatingType(part.scalar_type()) ? part.to(at::kFloat) : part;
  if (!whole.defined()) whole = at::empty({static_cast<std::int64_t>(rows), wide.size(1)}, wide.options());
  whole.index_copy_(0, sdk::on_device_of(wide, at), wide);
}

at::Tensor target_logprobs(const at::Tensor& logits, const std::vector<std::int64_t>& targets) {
  const at::Tensor index = sdk::on_device_of(logits, targets).unsqueeze(1);
  return at::log_softmax(logits, 1, at::kFloat).gather(1, index).squeeze(1);
}

}  // namespace

LookupPass::LookupPass(const sdk::Model& model, std::vector<LookupRow> rows, std::int64_t layer,
                       std::int64_t loss_layer)
    : model_(&model), rows_(std::move(rows)), layer_(layer), loss_layer_(loss_layer) {
  const std::int64_t last = model.info().layers - 1;
  if (loss_layer_ < 0 || loss_layer_ >= last) loss_layer_ = last;
  if (loss_layer_ < layer_) {
    sdk::fail(PALIMPSEST_OUT_OF_RANGE, "the loss is read after layer ", loss_layer_, "; expected layer ", layer_,
              ", where the change is made, or a later one");
  }
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

LookupPass::Part LookupPass::part_of(const Group& group, const std::vector<at::Tensor>& deltas) const {
  Part part;
  const auto fact_of = [&](std::int64_t row) { return rows_[static_cast<std::size_t>(row)].fact; };
  for (std::size_t i = 0; i < group.rows.size(); ++i) {
    if (!deltas.at(static_cast<std::size_t>(fact_of(group.rows[i]))).defined()) continue;
    part.rows.push_back(group.rows[i]);
    part.places.push_back(static_cast<std::int64_t>(i));
    part.suffix.push_back(group.suffix[i]);
  }
  if (part.rows.empty()) return part;
  at::Tensor hidden = group.hidden;
  if (part.rows.size() == group.rows.size()) {
    part.places.clear();
  } else {
    hidden = hidden.index_select(0, sdk::on_device_of(hidden, part.places));
  }
  // Each fact's rows stand together: one addition a fact.
  std::vector<at::Tensor> lookups;
  for (std::size_t begin = 0, end = 0; begin < part.rows.size(); begin = end) {
    const std::int64_t fact = fact_of(part.rows[begin]);
    while (end < part.rows.size() && fact_of(part.rows[end]) == fact) ++end;
    const at::Tensor own =
        hidden.narrow(0, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end - begin)).narrow(1, 0, 1);
    lookups.push_back((own + deltas[static_cast<std::size_t>(fact)]).to(own.scalar_type()));
  }
  const at::Tensor changed = lookups.size() == 1 ? lookups[0] : at::cat(lookups, 0);
  part.hidden = at::cat({changed, hidden.slice(1, 1)}, 1);
  return part;
}

LookupPass::Result LookupPass::run_part(const Group& group, const Part& part, const Asked& asked) const {
  sdk::Forward above(part.suffix);
  if (group.cache.get() != nullptr) above.continuing(group.cache, part.places);
  above.from_layer(layer_ + 1, sdk::to_handle(model_->host(), part.hidden));
  Result made;
  if (asked.targets.size() + asked.logits.size() <= kMostJointRows) {
    std::vector<sdk::Position> at = asked.targets;
    at.insert(at.end(), asked.logits.begin(), asked.logits.end());
    const sdk::ForwardResult result = model_->run(above.logits(std::move(at)));
    const at::Tensor all = sdk::torch_tensor(result.logits);
    const auto split = static_cast<std::int64_t>(asked.targets.size());
    if (split > 0) made.logprobs = target_logprobs(all.narrow(0, 0, split), asked.target_ids);
    if (!asked.logits.empty()) made.logits = all.slice(0, split);
    return made;
  }
  const sdk::ForwardResult result = model_->run(above.logprobs(asked.targets, asked.target_ids).logits(asked.logits));
  if (!asked.targets.empty()) made.logprobs = sdk::torch_tensor(result.logprobs);
  if (!asked.logits.empty()) made.logits = sdk::torch_tensor(result.logits);
  return made;
}

// Log-probabilities are read below the last layer; only the rows whose logits are asked for go on to it.
LookupPass::Result LookupPass::run_to_loss_layer(const Group& group, const Part& part, const Asked& asked) const {
  Result made;
  sdk::Forward above(part.suffix);
  if (group.cache.get() != nullptr) above.continuing(group.cache, part.places);
  above.from_layer(layer_ + 1, sdk::to_handle(model_->host(), part.hidden)).to_layer(loss_layer_);
  if (!asked.targets.empty()) above.logprobs(asked.targets, asked.target_ids);
  const sdk::ForwardResult result = model_->run(above);
  if (!asked.targets.empty()) made.logprobs = sdk::torch_tensor(result.logprobs);
  if (asked.logits.empty()) return made;

  std::vector<std::vector<std::int64_t>> lookups;
  std::vector<std::int64_t> rows, places;
  std::vector<sdk::Position> at;
  for (std::size_t i = 0; i < asked.logits.size(); ++i) {
    const auto row = static_cast<std::size_t>(asked.logits[i].row);
    lookups.push_back({part.suffix[row].front()});
    rows.push_back(asked.logits[i].row);
    places.push_back(part.places.empty() ? asked.logits[i].row : part.places[row]);
    at.push_back({static_cast<std::int64_t>(i), 0});
  }
  at::Tensor hidden = sdk::torch_tensor(result.hidden).narrow(1, 0, 1);
  hidden = hidden.index_select(0, sdk::on_device_of(hidden, rows));
  sdk::Forward rest(lookups);
  if (group.cache.get() != nullptr) rest.continuing(group.cache, places);
  rest.from_layer(loss_layer_ + 1, sdk::to_handle(model_->host(), hidden)).logits(std::move(at));
  made.logits = sdk::torch_tensor(model_->run(rest).logits);
  return made;
}

LookupPass::Result LookupPass::run(const std::vector<at::Tensor>& deltas, const std::vector<Wanted>& wanted,
                                   const std::vector<std::int64_t>& logit_rows) const {
  const bool to_the_end = loss_layer_ == model_->info().layers - 1;
  std::vector<at::Tensor> logprobs, logits;
  std::vector<std::int64_t> logprob_order, logit_order;
  for (const Group& group : groups_) {
    const Part part = part_of(group, deltas);
    const auto place = [&](std::int64_t row) {
      const auto found = std::lower_bound(part.rows.begin(), part.rows.end(), row);
      return found == part.rows.end() || *found != row ? -1 : found - part.rows.begin();
    };
    Asked asked;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::int64_t row = place(wanted[i].row);
      if (row < 0) continue;
      asked.targets.push_back({row, wanted[i].position - rows_[static_cast<std::size_t>(wanted[i].row)].lookup});
      asked.target_ids.push_back(wanted[i].target);
      logprob_order.push_back(static_cast<std::int64_t>(i));
    }
    for (std::size_t i = 0; i < logit_rows.size(); ++i) {
      const std::int64_t row = place(logit_rows[i]);
      if (row < 0) continue;
      asked.logits.push_back({row, 0});
      logit_order.push_back(static_cast<std::int64_t>(i));
    }
    if (asked.targets.empty() && asked.logits.empty()) continue;
    const Result made = to_the_end ? run_part(group, part, asked) : run_to_loss_layer(group, part, asked);
    if (made.logprobs.defined()) logprobs.push_back(made.logprobs);
    if (made.logits.defined()) logits.push_back(made.logits);
  }
  const auto in_order = [](const std::vector<at::Tensor>& parts, const std::vector<std::int64_t>& order) {
    if (parts.empty()) return at::Tensor();
    const at::Tensor all = at::cat(parts, 0);
    return all.index_select(0, sdk::on_device_of(all, order).argsort());
  };
  return {in_order(logprobs, logprob_order), in_order(logits, logit_order)};
}

}  // namespace palimpsest::editing
