#include "editing/spread.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "editing/key_pass.hpp"
#include "editing/lookup_pass.hpp"
#include "editing/prompts.hpp"
#include "editing/requests.hpp"
#include "editing/values.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::editing {
namespace {

// Tokens behind the prefixes that are optimised side by side: enough for products of full speed; each holds the
// activations of all layers above until the backward pass.
constexpr std::size_t kChunkTokens = 256;

// One edit as rows of tokens: the bare prompt, the other contexts, the prompts that are contexts of it.
struct Prepared {
  Edit edit;
  std::vector<std::int64_t> target;
  std::vector<LookupRow> rows;
  std::vector<std::int64_t> groups;  // sizes: bare, contexts, augmented
  LookupRow kl;
  std::size_t suffix_tokens() const {
    std::size_t tokens = 1;
    for (const auto& row : rows) tokens += row.ids.size() - static_cast<std::size_t>(row.lookup) + target.size() - 1;
    return tokens;
  }
};

Prepared prepare(const sdk::Host& host, const Edit& edit, const std::vector<std::string>& contexts) {
  const std::string_view subject = edit.requests[0].subject;
  Prepared made{edit, host.encode_target(edit.requests[0].target), {}, {}, kl_row(host, subject)};
  for (const auto& prompt : prompts_of(edit, contexts)) made.rows.push_back(lookup_row(host, prompt, subject));
  const auto augmented = static_cast<std::int64_t>(edit.requests.size()) - 1;
  for (const std::int64_t size : {std::int64_t{1}, static_cast<std::int64_t>(contexts.size()) - 1, augmented}) {
    if (size > 0) made.groups.push_back(size);
  }
  return made;
}

// Mean within each group of rows, then over the groups: [D] of [rows, D].
at::Tensor group_mean(const at::Tensor& rows, const std::vector<std::int64_t>& sizes) {
  std::vector<at::Tensor> means;
  std::int64_t begin = 0;
  for (const std::int64_t size : sizes) {
    means.push_back(rows.narrow(0, begin, size).mean(0));
    begin += size;
  }
  return at::stack(means).mean(0);
}

// z* of the edits `chosen`, into the columns of `z` [hidden, edits].
void optimise_chunk(const sdk::Host& host, const sdk::Model& model, const std::vector<Prepared>& edits,
                    const std::vector<std::size_t>& chosen, const SpreadParameters& p, at::Tensor& z,
                    const sdk::Updates& updates) {
  std::vector<LookupRow> rows;
  std::vector<ValueFact> facts;
  for (std::size_t f = 0; f < chosen.size(); ++f) {
    const Prepared& edit = edits[chosen[f]];
    const auto first = static_cast<std::int64_t>(rows.size());
    facts.push_back({first, static_cast<std::int64_t>(edit.rows.size()), edit.target, {}});
    for (LookupRow row : edit.rows) {
      row.ids.insert(row.ids.end(), edit.target.begin(), edit.target.end() - 1);
      rows.push_back(std::move(row));
    }
    rows.push_back(edit.kl);
    for (auto row = static_cast<std::size_t>(first); row < rows.size(); ++row) {
      rows[row].fact = static_cast<std::int64_t>(f);
    }
  }
  const LookupPass pass(model, rows, p.layers[p.layers.size() - 1], p.v_loss_layer);
  for (auto& fact : facts) fact.init = pass.outputs()[fact.first_row];
  const std::vector<OptimisedValue> values =
      optimise_values(pass, rows, facts, value_options(p), [&](std::int64_t) { host.stop_if_cancelled(); });
  for (std::size_t f = 0; f < chosen.size(); ++f) {
    if (!z.defined()) {
      const at::Tensor& init = facts[f].init;
      z = at::empty({init.size(0), static_cast<std::int64_t>(edits.size())}, init.options().dtype(at::kDouble));
    }
    z.select(1, static_cast<std::int64_t>(chosen[f])).copy_(facts[f].init + values[f].delta);
    const std::int64_t request = edits[chosen[f]].edit.first;
    record_steps(values[f], request, updates);
    updates.record(request, "delta_norm", -1, values[f].delta.norm().item<double>());
  }
}

// z* [hidden, edits], float64.
at::Tensor optimise_all(const sdk::Host& host, const sdk::Model& model, const std::vector<Prepared>& edits,
                        const SpreadParameters& p, const sdk::Updates& updates) {
  // Edits of like length beside each other: attention pads rows to the longest, and they are done together.
  std::vector<std::size_t> order(edits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return edits[a].suffix_tokens() < edits[b].suffix_tokens(); });
  at::Tensor z;
  std::vector<std::size_t> chosen;
  std::size_t tokens = 0, done = 0;
  const auto flush = [&] {
    if (chosen.empty()) return;
    optimise_chunk(host, model, edits, chosen, p, z, updates);
    done += chosen.size();
    host.progress("z*", static_cast<std::int64_t>(done), static_cast<std::int64_t>(edits.size()), "edits");
    chosen.clear();
    tokens = 0;
  };
  for (const std::size_t edit : order) {
    const std::size_t own = edits[edit].suffix_tokens();
    if (tokens + own > kChunkTokens) flush();
    chosen.push_back(edit);
    tokens += own;
  }
  flush();
  return z;
}

// Low rank while that is the smaller of the two.
void emit(const sdk::Host& host, std::int64_t layer, const at::Tensor& residuals, const at::Tensor& x,
          const sdk::Updates& updates) {
  const std::int64_t out = residuals.size(0), in = x.size(0), n = x.size(1);
  const std::string parameter = sdk::mlp_down_parameter(layer);
  if (n * (out + in) < out * in) {
    updates.low_rank(parameter, sdk::to_handle(host.get(), residuals), sdk::to_handle(host.get(), x));
  } else {
    updates.dense(parameter, sdk::to_handle(host.get(), residuals.mm(x.t())));
  }
  const at::Tensor squares = residuals.t().mm(residuals) * x.t().mm(x);
  updates.record(-1, "update_norm", layer, squares.sum().clamp_min(0).sqrt().item<double>());
}

}  // namespace

sdk::Needs spread_needs(const SpreadParameters& p, const palimpsest_model_info& info) {
  if (p.layers.empty()) sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "layers is empty; expected at least one layer");
  sdk::Needs needs;
  for (std::size_t i = 0; i < p.layers.size(); ++i) {
    if (p.layers[i] >= info.layers) {
      sdk::fail(PALIMPSEST_OUT_OF_RANGE, "layers has ", p.layers[i], "; the model has layers 0 to ", info.layers - 1);
    }
    if (i > 0 && p.layers[i] <= p.layers[i - 1]) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "layers has ", p.layers[i], " after ", p.layers[i - 1],
                "; expected an ascending list without repetition");
    }
    needs.edits_layers.push_back(p.layers[i]);
  }
  const std::int64_t last = p.layers[p.layers.size() - 1];
  if (p.v_loss_layer >= info.layers || (p.v_loss_layer >= 0 && p.v_loss_layer < last)) {
    sdk::fail(PALIMPSEST_OUT_OF_RANGE, "v_loss_layer is ", p.v_loss_layer, "; expected -1, or ", last,
              " (the last edited layer) to ", info.layers - 1);
  }
  return needs;
}

void spread_edits(const sdk::Host& host, const sdk::Model& model, std::span<const sdk::EditRequest> requests,
                  const std::vector<std::string>& contexts, const SpreadParameters& p, const SolveLayer& solve,
                  const sdk::Updates& updates) {
  std::vector<Prepared> edits;
  for (const Edit& edit : edits_of(requests, AugmentedAs::kRequests)) edits.push_back(prepare(host, edit, contexts));
  if (edits.empty()) return;
  const at::Tensor z = optimise_all(host, model, edits, p, updates);

  std::vector<LookupRow> rows;
  std::vector<std::int64_t> bare;
  for (const Prepared& edit : edits) {
    bare.push_back(static_cast<std::int64_t>(rows.size()));
    rows.insert(rows.end(), edit.rows.begin(), edit.rows.end());
  }
  const auto count = static_cast<std::int64_t>(p.layers.size());
  KeyPass pass(model, std::move(rows), bare, p.layers[p.layers.size() - 1]);
  const c10::NoGradGuard no_grad;
  for (std::int64_t i = 0; i < count; ++i) {
    host.stop_if_cancelled();
    const std::int64_t layer = p.layers[static_cast<std::size_t>(i)];
    const KeyPass::Reached reached = pass.reach(layer);
    std::vector<at::Tensor> keys;
    std::int64_t begin = 0;
    for (const Prepared& edit : edits) {
      const auto own = static_cast<std::int64_t>(edit.rows.size());
      keys.push_back(group_mean(reached.keys.narrow(0, begin, own), edit.groups));
      begin += own;
    }
    const at::Tensor k = at::stack(keys, 1).to(at::kDouble);
    // The residual that is left is shared by this layer and those above it.
    const at::Tensor r = (z - reached.outputs.t().to(at::kDouble)) / static_cast<double>(count - i);
    for (std::size_t e = 0; e < edits.size(); ++e) {
      const auto column = static_cast<std::int64_t>(e);
      updates.record(edits[e].edit.first, "key_norm", layer, k.select(1, column).norm().item<double>());
      updates.record(edits[e].edit.first, "residual_norm", layer,
                     r.select(1, column).norm().item<double>() * static_cast<double>(count - i));
    }
    emit(host, layer, r.contiguous(), solve(layer, k, r).contiguous(), updates);
  }
}

}  // namespace palimpsest::editing
