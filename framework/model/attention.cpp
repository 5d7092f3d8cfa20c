#include "model/attention.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.hpp"
#include "model/kernels.hpp"
#include "model/product.hpp"

namespace palimpsest::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Causal attention of short rows over themselves by whole products and a softmax: at these lengths twice as fast as
// torch's flash kernel, whose backward in bfloat16 is slower still. The queries that share a key/value head are rows of
// one product, so that keys, values and their gradients are never copied per head. All of it is float32, also under
// autocast.
class ShortCausal : public torch::autograd::Function<ShortCausal> {
 public:
  static bool takes(const at::Tensor& query) {
    constexpr std::int64_t kMostTokens = 256, kMostScores = std::int64_t{1} << 24;
    const std::int64_t tokens = query.size(1);
    return query.device().is_cpu() && (query.scalar_type() == at::kFloat || query.scalar_type() == at::kBFloat16) &&
           tokens <= kMostTokens && query.size(0) * query.size(2) * tokens * tokens <= kMostScores;
  }

  // query [rows, tokens, heads, width], key and value [rows, kv_heads, tokens, width] -> [rows, tokens, heads, width].
  // `kept`, if given, becomes what the backward reads: q, k, v and the weights, float32.
  static at::Tensor compute(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            variable_list* kept) {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    const std::int64_t kv_heads = key.size(1);
    const at::Tensor q = grouped(query, kv_heads), k = flat(key), v = flat(value);
    const at::Tensor weights = at::bmm(q, k.transpose(1, 2));
    for_heads(query.size(1), weights, weights, [scale = scale_of(q)](float* scores, const float*, std::int64_t tokens) {
      kernels::causal_softmax(scores, scale, tokens);
    });
    at::Tensor out = ungrouped(at::bmm(weights, v), query.sizes(), kv_heads, query.scalar_type());
    if (kept != nullptr) *kept = {q, k, v, weights};
    return out;
  }

  static at::Tensor forward(AutogradContext* context, const at::Tensor& query, const at::Tensor& key,
                            const at::Tensor& value) {
    variable_list kept;
    at::Tensor out = compute(query, key, value, &kept);
    context->save_for_backward(std::move(kept));
    context->saved_data["shape"] = query.sizes().vec();
    context->saved_data["kv_heads"] = key.size(1);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &weights = saved[3];
    const std::vector<std::int64_t> shape = context->saved_data["shape"].toIntVector();
    const std::int64_t kv_heads = context->saved_data["kv_heads"].toInt();
    const std::vector<std::int64_t> kv_shape = {shape[0], kv_heads, shape[1], shape[3]};
    const at::ScalarType dtype = gradients[0].scalar_type();
    const at::Tensor d_out = grouped(gradients[0], kv_heads);
    const at::Tensor d_v = at::bmm(weights.transpose(1, 2), d_out);
    const at::Tensor d_scores = at::bmm(d_out, v.transpose(1, 2));
    for_heads(shape[1], d_scores, weights, [scale = scale_of(q)](float* d, const float* w, std::int64_t tokens) {
      kernels::causal_softmax_backward(w, d, scale, tokens);
    });
    return {ungrouped(at::bmm(d_scores, k), shape, kv_heads, dtype),
            at::bmm(d_scores.transpose(1, 2), q).view(kv_shape).to(dtype), d_v.view(kv_shape).to(dtype)};
  }

 private:
  static float scale_of(const at::Tensor& q) { return 1.0F / std::sqrt(static_cast<float>(q.size(2))); }

  // [rows, tokens, heads, width] -> [rows * kv_heads, heads / kv_heads * tokens, width].
  static at::Tensor grouped(const at::Tensor& x, std::int64_t kv_heads) {
    const std::int64_t rows = x.size(0), tokens = x.size(1), group = x.size(2) / kv_heads, width = x.size(3);
    at::Tensor out = at::empty({rows, kv_heads, group, tokens, width}, x.options().dtype(at::kFloat));
    out.copy_(x.reshape({rows, tokens, kv_heads, group, width}).permute({0, 2, 3, 1, 4}));
    return out.view({rows * kv_heads, group * tokens, width});
  }

  // Its inverse: to `shape`, [rows, tokens, heads, width].
  static at::Tensor ungrouped(const at::Tensor& x, at::IntArrayRef shape, std::int64_t kv_heads, at::ScalarType dtype) {
    const std::int64_t group = shape[2] / kv_heads;
    at::Tensor out = at::empty(shape, x.options().dtype(dtype));
    out.view({shape[0], shape[1], kv_heads, group, shape[3]})
        .copy_(x.view({shape[0], kv_heads, group, shape[1], shape[3]}).permute({0, 3, 1, 2, 4}));
    return out;
  }

  // [rows, kv_heads, tokens, width] -> [rows * kv_heads, tokens, width].
  static at::Tensor flat(const at::Tensor& x) {
    at::Tensor out = at::empty(x.sizes(), x.options().dtype(at::kFloat));
    out.copy_(x);
    return out.view({x.size(0) * x.size(1), x.size(2), x.size(3)});
  }

  // Calls work(scores, other, tokens) for the [tokens, tokens] scores of every query head, and the same place of
  // `other`.
  template <typename Work>
  static void for_heads(std::int64_t tokens, const at::Tensor& scores, const at::Tensor& other, Work work) {
    float* all = scores.mutable_data_ptr<float>();
    const float* others = other.const_data_ptr<float>();
    const std::int64_t size = tokens * tokens;
    at::parallel_for(0, scores.numel() / size, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t head = begin; head < end; ++head) work(all + head * size, others + head * size, tokens);
    });
  }
};

// Every row's new slots right behind its own past: [rows, heads, slots, width], zeros past a row's end. A slot is then
// a position, as in a run without a cache, and what attention adds up comes in the same order: the two agree bit for
// bit where their products do.
class Join : public torch::autograd::Function<Join> {
 public:
  // past [rows, heads, its slots, width], of which row r's first past_lengths[r] count; fresh alike.
  static at::Tensor of(const at::Tensor& past, const at::Tensor& fresh, const std::vector<std::int64_t>& past_lengths,
                       const std::vector<std::int64_t>& fresh_lengths, std::int64_t slots) {
    if (at::GradMode::is_enabled() && (past.requires_grad() || fresh.requires_grad())) {
      return apply(past, fresh, past_lengths, fresh_lengths, slots);
    }
    return joined(past, fresh, past_lengths, fresh_lengths, slots);
  }

  static at::Tensor forward(AutogradContext* context, const at::Tensor& past, const at::Tensor& fresh,
                            const std::vector<std::int64_t>& past_lengths,
                            const std::vector<std::int64_t>& fresh_lengths, std::int64_t slots) {
    context->saved_data["past_lengths"] = past_lengths;
    context->saved_data["fresh_lengths"] = fresh_lengths;
    context->saved_data["past_slots"] = past.size(2);
    context->saved_data["fresh_slots"] = fresh.size(2);
    return joined(past, fresh, past_lengths, fresh_lengths, slots);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const std::vector<std::int64_t> past_lengths = context->saved_data["past_lengths"].toIntVector();
    const std::vector<std::int64_t> fresh_lengths = context->saved_data["fresh_lengths"].toIntVector();
    const std::vector<std::int64_t> none(past_lengths.size(), 0);
    const auto taken = [&](const char* slots, const std::vector<std::int64_t>& begins,
                           const std::vector<std::int64_t>& lengths) {
      std::vector<std::int64_t> shape = gradients[0].sizes().vec();
      shape[2] = context->saved_data[slots].toInt();
      at::Tensor part = at::zeros(shape, gradients[0].options());
      move(gradients[0], begins, part, none, lengths);
      return part;
    };
    return {context->needs_input_grad(0) ? taken("past_slots", none, past_lengths) : at::Tensor(),
            context->needs_input_grad(1) ? taken("fresh_slots", past_lengths, fresh_lengths) : at::Tensor(),
            at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  static at::Tensor joined(const at::Tensor& past, const at::Tensor& fresh,
                           const std::vector<std::int64_t>& past_lengths,
                           const std::vector<std::int64_t>& fresh_lengths, std::int64_t slots) {
    at::Tensor out = at::zeros({fresh.size(0), fresh.size(1), slots, fresh.size(3)}, fresh.options());
    const std::vector<std::int64_t> none(past_lengths.size(), 0);
    move(past, none, out, none, past_lengths);
    move(fresh, none, out, past_lengths, fresh_lengths);
    return out;
  }

  // Row r's lengths[r] slots from froms[r] of `source` to tos[r] of `target`, which is contiguous.
  static void move(const at::Tensor& source, const std::vector<std::int64_t>& froms, at::Tensor& target,
                   const std::vector<std::int64_t>& tos, const std::vector<std::int64_t>& lengths) {
    const std::int64_t heads = source.size(1), width = source.size(3);
    if (!source.device().is_cpu()) {
      for (std::size_t row = 0; row < lengths.size(); ++row) {
        const auto r = static_cast<std::int64_t>(row);
        target[r].narrow(1, tos[row], lengths[row]).copy_(source[r].narrow(1, froms[row], lengths[row]));
      }
      return;
    }
    const at::Tensor from = source.stride(3) == 1 ? source : source.contiguous();
    const auto size = static_cast<std::int64_t>(from.element_size());
    const auto* sources = static_cast<const char*>(from.const_data_ptr());
    auto* targets = static_cast<char*>(target.mutable_data_ptr());
    at::parallel_for(0, static_cast<std::int64_t>(lengths.size()) * heads, 16,
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t item = begin; item < end; ++item) {
                         const std::int64_t row = item / heads, head = item % heads;
                         const auto r = static_cast<std::size_t>(row);
                         for (std::int64_t slot = 0; slot < lengths[r]; ++slot) {
                           const std::int64_t place =
                               row * from.stride(0) + head * from.stride(1) + (froms[r] + slot) * from.stride(2);
                           std::memcpy(targets + (item * target.size(2) + tos[r] + slot) * width * size,
                                       sources + place * size, static_cast<std::size_t>(width * size));
                         }
                       }
                     });
  }
};

}  // namespace

at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                  bool causal) {
  const std::int64_t rows = query.size(0), tokens = query.size(1), heads = query.size(2), width = query.size(3);
  const std::int64_t kv_heads = key.size(1), slots = key.size(2), group = heads / kv_heads;
  if (causal && !mask.defined() && slots == tokens && ShortCausal::takes(query)) {
    const bool traced =
        at::GradMode::is_enabled() && (query.requires_grad() || key.requires_grad() || value.requires_grad());
    const at::Tensor out =
        traced ? ShortCausal::apply(query, key, value) : ShortCausal::compute(query, key, value, nullptr);
    return out.flatten(2);
  }
  if (is_to_be_widened(query)) {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    const at::Tensor wide_mask = mask.defined() ? mask.to(at::kFloat) : mask;
    return attend(query.to(at::kFloat), key.to(at::kFloat), value.to(at::kFloat), wide_mask, causal).to(at::kBFloat16);
  }
  if (causal || group == 1) {
    const auto all_heads = [&](const at::Tensor& x) {
      if (group == 1) return x;
      return x.unsqueeze(2).expand({rows, kv_heads, group, slots, width}).reshape({rows, heads, slots, width});
    };
    const at::Tensor out =
        at::scaled_dot_product_attention(query.transpose(1, 2), all_heads(key), all_heads(value),
                                         mask.defined() ? std::make_optional(mask) : std::nullopt, 0.0, causal);
    return out.transpose(1, 2).reshape({rows, tokens, heads * width});
  }
  // The queries that share a key/value head are taken as further tokens of one head: keys and values, which are the
  // long side when a cache is continued, are then never copied per head.
  const at::Tensor grouped = query.view({rows, tokens, kv_heads, group, width})
                                 .permute({0, 2, 3, 1, 4})
                                 .reshape({rows, kv_heads, group * tokens, width});
  std::optional<at::Tensor> grouped_mask;
  if (mask.defined()) {
    grouped_mask = mask.unsqueeze(2)
                       .expand({mask.size(0), 1, group, tokens, slots})
                       .reshape({mask.size(0), 1, group * tokens, slots});
  }
  const at::Tensor out = at::scaled_dot_product_attention(grouped, key, value, grouped_mask, 0.0, false);
  return out.view({rows, kv_heads, group, tokens, width})
      .permute({0, 3, 1, 2, 4})
      .reshape({rows, tokens, heads * width});
}

CacheMemory::CacheMemory(const Cache* cache, std::vector<std::int64_t> rows, std::vector<std::int64_t> lengths,
                         bool keep, at::Device device)
    : cache_(cache), lengths_(std::move(lengths)), keep_(keep), device_(device) {
  past_.assign(lengths_.size(), 0);
  if (cache_ == nullptr) return;
  bool identity = cache_->rows() == static_cast<std::int64_t>(lengths_.size());
  for (std::size_t i = 0; i < lengths_.size(); ++i) {
    const std::int64_t row = rows.empty() ? static_cast<std::int64_t>(i) : rows[i];
    identity = identity && row == static_cast<std::int64_t>(i);
    past_[i] = cache_->lengths()[static_cast<std::size_t>(row)];
    slots_ = std::max(slots_, past_[i]);
  }
  ragged_ = std::any_of(past_.begin(), past_.end(), [this](std::int64_t past) { return past < slots_; });
  if (!identity) {
    if (rows.empty()) {
      rows.resize(lengths_.size());
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
    }
    row_index_ = at::tensor(rows, at::kLong).to(device_);
  }
  for (std::size_t i = 0; i < lengths_.size(); ++i) joined_slots_ = std::max(joined_slots_, past_[i] + lengths_[i]);
}

at::Tensor CacheMemory::mask(std::int64_t tokens, at::ScalarType dtype) const {
  if (tokens == 1 && !ragged_) return {};
  const std::int64_t rows = ragged_ ? static_cast<std::int64_t>(past_.size()) : 1;
  const std::int64_t slots = ragged_ ? joined_slots_ : slots_ + tokens;
  at::Tensor mask = at::zeros({rows, 1, tokens, slots}, at::kFloat);
  auto entries = mask.accessor<float, 4>();
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t token = 0; token < tokens; ++token) {
      auto line = entries[row][0][token];
      for (std::int64_t slot = past_[static_cast<std::size_t>(row)] + token + 1; slot < slots; ++slot) {
        line[slot] = -std::numeric_limits<float>::infinity();
      }
    }
  }
  return mask.to(device_, dtype);
}

std::pair<at::Tensor, at::Tensor> CacheMemory::extend(std::int64_t layer, const at::Tensor& key,
                                                      const at::Tensor& value) {
  at::Tensor all_keys = key, all_values = value;
  if (cache_ != nullptr) {
    const auto past = [this](const at::Tensor& held) {
      const at::Tensor used = held.narrow(2, 0, slots_);
      return row_index_.defined() ? used.index_select(0, row_index_) : used;
    };
    const auto joined = [&](const at::Tensor& held, const at::Tensor& fresh) {
      const at::Tensor before = past(held).to(fresh.scalar_type());
      return ragged_ ? Join::of(before, fresh, past_, lengths_, joined_slots_) : at::cat({before, fresh}, 2);
    };
    all_keys = joined(cache_->keys(layer), key);
    all_values = joined(cache_->values(layer), value);
  }
  if (keep_) {
    if (first_layer_ < 0) first_layer_ = layer;
    keys_.push_back(all_keys);
    values_.push_back(all_values);
  }
  return {all_keys, all_values};
}

Cache CacheMemory::take() {
  std::vector<std::int64_t> lengths = past_;
  for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] += lengths_[i];
  return Cache(std::max<std::int64_t>(first_layer_, 0), std::move(keys_), std::move(values_), std::move(lengths));
}

}  // namespace palimpsest::model
