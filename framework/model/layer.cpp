#include "model/layer.hpp"

#include <ATen/ATen.h>

#include <tuple>
#include <utility>

#include "base/error.hpp"
#include "model/mlp.hpp"
#include "model/normalisation.hpp"

namespace palimpsest::model {
namespace {

at::Tensor attention(const Config& config, const Weights& weights, const PassTokens& tokens, std::int64_t number,
                     const std::string& stem, const at::Tensor& x) {
  const Batch& batch = tokens.batch;
  const Past& past = tokens.past;
  const std::int64_t width = config.head_dim;
  at::Tensor query = weights.linear(stem + "attention.query", x).unflatten(-1, {config.heads, width});
  at::Tensor key = weights.linear(stem + "attention.key", x).unflatten(-1, {config.kv_heads, width});
  at::Tensor value = weights.linear(stem + "attention.value", x).unflatten(-1, {config.kv_heads, width});
  if (config.qk_norm) {
    query = rms_norm(query, weights.dense(stem + "attention.query_norm.weight"), config.norm_eps);
    key = rms_norm(key, weights.dense(stem + "attention.key_norm.weight"), config.norm_eps);
  }
  if (config.positions == PositionScheme::kRotary) {
    query = rotate(query, tokens.rotary);
    key = rotate(key, tokens.rotary);
  }
  key = batch.unpack(key).transpose(1, 2);
  value = batch.unpack(value).transpose(1, 2);
  if (past.memory != nullptr) std::tie(key, value) = past.memory->extend(number, key, value);
  const at::Tensor out = attend(batch.unpack(query), key, value, past.mask, past.causal);
  return weights.linear(stem + "attention.out", batch.pack(out));
}

}  // namespace

at::Tensor run_norm(const Config& config, const Weights& weights, const std::string& stem, const at::Tensor& x) {
  const at::Tensor& weight = weights.dense(stem + ".weight");
  if (config.norm == NormKind::kRms) return rms_norm(x, weight, config.norm_eps);
  const at::Tensor* bias = weights.find_dense(stem + ".bias");
  return layer_norm(x, weight, bias == nullptr ? at::Tensor() : *bias, config.norm_eps);
}

at::Tensor run_layer(const Config& config, const Weights& weights, const PassTokens& tokens, std::int64_t number,
                     const at::Tensor& x, const Visit& visit) {
  const auto seen = [&visit](SitePoint point, at::Tensor value) {
    return visit ? visit(point, std::move(value)) : std::move(value);
  };
  const std::string stem = cat("layers.", number, ".");
  at::Tensor normed = run_norm(config, weights, stem + "attention_norm", x);
  const at::Tensor mixed = seen(SitePoint::kAttentionOut, attention(config, weights, tokens, number, stem, normed));
  at::Tensor residual = x + mixed;
  if (config.mlp_norm) normed = run_norm(config, weights, stem + "mlp_norm", config.parallel_block ? x : residual);
  at::Tensor gate;
  if (config.gated_mlp) gate = weights.linear(stem + "mlp.gate", normed);
  at::Tensor key = mlp_key(config.activation, std::move(gate), weights.linear(stem + "mlp.up", normed));
  key = seen(SitePoint::kMlpKey, std::move(key));
  const at::Tensor value = seen(SitePoint::kMlpValue, weights.linear(stem + "mlp.down", key));
  return seen(SitePoint::kLayerOut, residual + value);
}

}  // namespace palimpsest::model
