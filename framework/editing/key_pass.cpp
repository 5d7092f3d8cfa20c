#include "editing/key_pass.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::editing {
namespace {

// Tokens that run together: enough for products of full speed, and a bound on what a capture holds.
constexpr std::size_t kChunkTokens = 2048;

// [rows, D] at each row's last token of whole [rows, tokens, D].
at::Tensor at_lookup(const at::Tensor& whole, const std::vector<std::vector<std::int64_t>>& ids) {
  std::vector<std::int64_t> flat;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    flat.push_back(static_cast<std::int64_t>(i) * whole.size(1) + static_cast<std::int64_t>(ids[i].size()) - 1);
  }
  return whole.flatten(0, 1).index_select(0, sdk::on_device_of(whole, flat));
}

// Float32 also of a model in bfloat16: means and solves follow.
void put(at::Tensor& whole, std::int64_t rows, const std::vector<std::int64_t>& places, const at::Tensor& part) {
  const at::Tensor wide = at::isReducedFloatingType(part.scalar_type()) ? part.to(at::kFloat) : part;
  if (!whole.defined()) whole = at::empty({rows, wide.size(1)}, wide.options());
  whole.index_copy_(0, sdk::on_device_of(wide, places), wide);
}

}  // namespace

KeyPass::KeyPass(const sdk::Model& model, std::vector<LookupRow> rows, const std::vector<std::int64_t>& outputs_of,
                 std::int64_t last_layer)
    : model_(&model),
      row_count_(static_cast<std::int64_t>(rows.size())),
      last_layer_(last_layer),
      place_(rows.size(), -1),
      outputs_(static_cast<std::int64_t>(outputs_of.size())) {
  for (std::size_t i = 0; i < outputs_of.size(); ++i) {
    place_[static_cast<std::size_t>(outputs_of[i])] = static_cast<std::int64_t>(i);
  }
  // Rows of like length beside each other: attention pads them to the longest.
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return rows[a].lookup < rows[b].lookup; });
  std::size_t tokens = 0;
  for (const std::size_t row : order) {
    const auto length = static_cast<std::size_t>(rows[row].lookup) + 1;
    if (chunks_.empty() || tokens + length > kChunkTokens) {
      chunks_.emplace_back();
      tokens = 0;
    }
    tokens += length;
    Chunk& chunk = chunks_.back();
    if (place_[row] >= 0) chunk.wanted.push_back(static_cast<std::int64_t>(chunk.rows.size()));
    chunk.rows.push_back(static_cast<std::int64_t>(row));
    chunk.ids.emplace_back(rows[row].ids.begin(), rows[row].ids.begin() + static_cast<std::ptrdiff_t>(length));
  }
}

KeyPass::Reached KeyPass::reach(std::int64_t layer) {
  const c10::NoGradGuard no_grad;
  if (layer < at_ || layer > last_layer_) {
    sdk::fail(PALIMPSEST_INTERNAL, "keys of layer ", layer, " after layer ", at_, ", the last being layer ",
              last_layer_);
  }
  Reached reached;
  for (Chunk& chunk : chunks_) {
    sdk::Forward forward(chunk.ids);
    if (at_ > 0) forward.from_layer(at_, sdk::to_handle(model_->host(), chunk.entering));
    forward.to_layer(layer).capture(sdk::mlp_key_site(layer));
    // What enters the layer is kept: the resume starts there once the layer's weight has changed.
    if (layer > at_) forward.capture(sdk::layer_out_site(layer - 1));
    const sdk::ForwardResult result = model_->run(forward);
    if (layer > at_) chunk.entering = sdk::torch_tensor(result.captured[1]);
    put(reached.keys, row_count_, chunk.rows, at_lookup(sdk::torch_tensor(result.captured[0]), chunk.ids));
    if (chunk.wanted.empty()) continue;

    std::vector<std::vector<std::int64_t>> ids;
    std::vector<std::int64_t> places;
    for (const std::int64_t i : chunk.wanted) {
      ids.push_back(chunk.ids[static_cast<std::size_t>(i)]);
      places.push_back(place_[static_cast<std::size_t>(chunk.rows[static_cast<std::size_t>(i)])]);
    }
    at::Tensor hidden = sdk::torch_tensor(result.hidden);
    hidden = hidden.index_select(0, sdk::on_device_of(hidden, chunk.wanted));
    if (layer < last_layer_) {
      // Sorted by length, the last is the longest: what stands behind it is padding of rows not in this part.
      hidden = hidden.slice(1, 0, static_cast<std::int64_t>(ids.back().size()));
      sdk::Forward rest(ids);
      rest.from_layer(layer + 1, sdk::to_handle(model_->host(), hidden.contiguous())).to_layer(last_layer_);
      hidden = sdk::torch_tensor(model_->run(rest).hidden);
    }
    put(reached.outputs, outputs_, places, at_lookup(hidden, ids));
  }
  at_ = layer;
  return reached;
}

}  // namespace palimpsest::editing
