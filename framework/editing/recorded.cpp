#include "editing/recorded.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>

#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::editing {
namespace {

// The columns of a low-rank update that belong to `fact`; empty: they cannot be told.
std::vector<std::int64_t> columns_of(const sdk::RecordedUpdate& update, std::int64_t rank, std::string_view fact) {
  std::vector<std::int64_t> columns;
  if (rank == static_cast<std::int64_t>(update.facts.size())) {
    for (std::size_t r = 0; r < update.facts.size(); ++r) {
      if (update.facts[r] == fact) columns.push_back(static_cast<std::int64_t>(r));
    }
    return columns;
  }
  std::vector<std::string_view> distinct;
  for (const auto& id : update.facts) {
    if (std::find(distinct.begin(), distinct.end(), id) == distinct.end()) distinct.emplace_back(id);
  }
  if (rank == static_cast<std::int64_t>(distinct.size())) {
    columns.push_back(std::find(distinct.begin(), distinct.end(), fact) - distinct.begin());
  }
  return columns;
}

}  // namespace

FactUpdates updates_of_fact(std::span<const sdk::RecordedUpdate> updates, std::string_view fact) {
  const auto is_of = [&](const sdk::RecordedUpdate& update) {
    return std::find(update.facts.begin(), update.facts.end(), fact) != update.facts.end();
  };
  std::int64_t last = -1;
  for (const auto& update : updates) {
    if (is_of(update)) last = std::max(last, update.ordinal);
  }
  FactUpdates found;
  for (const auto& update : updates) {
    if (update.ordinal != last || !is_of(update)) continue;
    found.parameters.push_back(update.parameter);
    const bool alone =
        std::all_of(update.facts.begin(), update.facts.end(), [&](const auto& id) { return id == fact; });
    if (update.dense) {
      found.shared = found.shared || !alone;
      if (alone) found.own.push_back({update.parameter, {}, {}, sdk::torch_tensor(update.dense)});
      continue;
    }
    const at::Tensor &u = sdk::torch_tensor(update.u), &v = sdk::torch_tensor(update.v);
    if (alone) {
      found.own.push_back({update.parameter, u, v, {}});
      continue;
    }
    const auto columns = columns_of(update, u.size(1), fact);
    found.shared = found.shared || columns.empty();
    if (columns.empty()) continue;
    const at::Tensor index = sdk::on_device_of(u, columns);
    found.own.push_back({update.parameter, u.index_select(1, index), v.index_select(1, index), {}});
  }
  std::sort(found.parameters.begin(), found.parameters.end());
  found.parameters.erase(std::unique(found.parameters.begin(), found.parameters.end()), found.parameters.end());
  return found;
}

at::Tensor change_of(const FactUpdate& update, const at::Tensor& k) {
  const at::Tensor wide = k.to(at::kDouble);
  if (update.dense.defined()) return at::mv(update.dense.to(wide.device(), at::kDouble), wide);
  return at::mv(update.u.to(wide.device(), at::kDouble), at::mv(update.v.to(wide.device(), at::kDouble).t(), wide));
}

}  // namespace palimpsest::editing
