// The weights of a model by canonical name, the same for every architecture, matrices always [out, in]:
//
//   embed.weight [vocabulary, hidden]                 positions.weight [max_positions, hidden] (learned positions only)
//   layers.N.attention_norm.weight [hidden]           layers.N.attention.query.weight [heads * head_dim, hidden]
//   layers.N.attention.{key,value}.weight [kv_heads * head_dim, hidden]
//   layers.N.attention.out.weight [hidden, heads * head_dim]
//   layers.N.attention.{query_norm,key_norm}.weight [head_dim] (qk_norm only)
//   layers.N.mlp_norm.weight [hidden] (unless shared) layers.N.mlp.{gate,up}.weight [mlp_width, hidden]
//   layers.N.mlp.down.weight [hidden, mlp_width]      final_norm.weight [hidden]
//   head.weight [vocabulary, hidden] (absent when tied to embed.weight)
// and `.bias` in place of `.weight` where the description has biases.
//
// Parameters is a cheap value: copies share tensors, with() gives a changed copy. Nothing here writes into a tensor;
// weights of an opened model may be a read-only mapping of its file and must never be written. Safe to read from
// several threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.hpp"

namespace palimpsest::model {

enum class ParameterRole {
  kEmbedding,
  kPositionEmbedding,
  kAttentionNorm,
  kAttentionQuery,
  kAttentionKey,
  kAttentionValue,
  kAttentionOut,
  kAttentionQueryNorm,
  kAttentionKeyNorm,
  kMlpNorm,
  kMlpGate,
  kMlpUp,
  kMlpDown,
  kFinalNorm,
  kHead,
};

// E.g. "mlp_down"; stands in results and in the ABI.
std::string_view name_of(ParameterRole role);

struct ParameterInfo {
  std::string name;
  ParameterRole role;
  std::int64_t layer;  // -1: belongs to no layer
  bool bias;
  std::vector<std::int64_t> shape;
};

// Every parameter of a model so described, in the order of the forward pass.
std::vector<ParameterInfo> parameter_infos(const Config& config);

class Parameters {
 public:
  Parameters() = default;
  // `tensors` are in the order of `infos`, of the same shapes. Throws kInvalidArgument naming the one that is not.
  Parameters(std::vector<ParameterInfo> infos, std::vector<at::Tensor> tensors);

  std::size_t size() const { return tensors_.size(); }
  const std::vector<ParameterInfo>& infos() const;
  const ParameterInfo& info(std::string_view name) const;
  // The tensor at place i of infos().
  const at::Tensor& operator[](std::size_t i) const { return tensors_[i]; }
  // Null when there is none.
  const at::Tensor* find(std::string_view name) const;
  // Throws kNotFound with "did you mean".
  const at::Tensor& at(std::string_view name) const;
  std::size_t index(std::string_view name) const;

  // A copy with one tensor exchanged; the shape must be the same (kInvalidArgument), dtype and device may differ.
  Parameters with(std::string_view name, at::Tensor tensor) const;
  // A copy with all tensors converted; tensors that are so already are shared.
  Parameters to(at::ScalarType dtype, at::Device device) const;

 private:
  struct Table;
  std::shared_ptr<const Table> table_;
  std::vector<at::Tensor> tensors_;
};

}  // namespace palimpsest::model
