#include "model/parameters.hpp"

#include <ATen/ATen.h>

#include <unordered_map>
#include <utility>

#include "base/error.hpp"

namespace palimpsest::model {

std::string_view name_of(ParameterRole role) {
  switch (role) {
    case ParameterRole::kEmbedding: return "embedding";
    case ParameterRole::kPositionEmbedding: return "position_embedding";
    case ParameterRole::kAttentionNorm: return "attention_norm";
    case ParameterRole::kAttentionQuery: return "attention_query";
    case ParameterRole::kAttentionKey: return "attention_key";
    case ParameterRole::kAttentionValue: return "attention_value";
    case ParameterRole::kAttentionOut: return "attention_out";
    case ParameterRole::kAttentionQueryNorm: return "attention_query_norm";
    case ParameterRole::kAttentionKeyNorm: return "attention_key_norm";
    case ParameterRole::kMlpNorm: return "mlp_norm";
    case ParameterRole::kMlpGate: return "mlp_gate";
    case ParameterRole::kMlpUp: return "mlp_up";
    case ParameterRole::kMlpDown: return "mlp_down";
    case ParameterRole::kFinalNorm: return "final_norm";
    case ParameterRole::kHead: return "head";
  }
  fail(ErrorCode::kInternal, "no such parameter role: ", static_cast<int>(role));
}

std::vector<ParameterInfo> parameter_infos(const Config& config) {
  std::vector<ParameterInfo> infos;
  const auto add = [&](const std::string& stem, ParameterRole role, std::int64_t layer, std::vector<std::int64_t> shape,
                       bool bias = false) {
    const std::int64_t outputs = shape.front();
    infos.push_back({stem + ".weight", role, layer, false, std::move(shape)});
    if (bias) infos.push_back({stem + ".bias", role, layer, true, {outputs}});
  };
  const std::int64_t hidden = config.hidden;
  add("embed", ParameterRole::kEmbedding, -1, {config.vocabulary, hidden});
  if (config.positions == PositionScheme::kLearned) {
    add("positions", ParameterRole::kPositionEmbedding, -1, {config.max_positions, hidden});
  }
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string stem = cat("layers.", layer, ".");
    add(stem + "attention_norm", ParameterRole::kAttentionNorm, layer, {hidden}, config.norm_bias);
    add(stem + "attention.query", ParameterRole::kAttentionQuery, layer, {config.query_width(), hidden},
        config.qkv_bias);
    add(stem + "attention.key", ParameterRole::kAttentionKey, layer, {config.kv_width(), hidden}, config.qkv_bias);
    add(stem + "attention.value", ParameterRole::kAttentionValue, layer, {config.kv_width(), hidden}, config.qkv_bias);
    if (config.qk_norm) {
      add(stem + "attention.query_norm", ParameterRole::kAttentionQueryNorm, layer, {config.head_dim});
      add(stem + "attention.key_norm", ParameterRole::kAttentionKeyNorm, layer, {config.head_dim});
    }
    add(stem + "attention.out", ParameterRole::kAttentionOut, layer, {hidden, config.query_width()},
        config.attention_out_bias);
    if (config.mlp_norm) {
      add(stem + "mlp_norm", ParameterRole::kMlpNorm, layer, {hidden}, config.norm_bias);
    }
    if (config.gated_mlp) {
      add(stem + "mlp.gate", ParameterRole::kMlpGate, layer, {config.mlp_width, hidden}, config.mlp_bias);
    }
    add(stem + "mlp.up", ParameterRole::kMlpUp, layer, {config.mlp_width, hidden}, config.mlp_bias);
    add(stem + "mlp.down", ParameterRole::kMlpDown, layer, {hidden, config.mlp_width}, config.mlp_bias);
  }
  add("final_norm", ParameterRole::kFinalNorm, -1, {hidden}, config.norm_bias);
  if (!config.tied_head) add("head", ParameterRole::kHead, -1, {config.vocabulary, hidden});
  if (config.head_bias) infos.push_back({"head.bias", ParameterRole::kHead, -1, true, {config.vocabulary}});
  return infos;
}

struct Parameters::Table {
  std::vector<ParameterInfo> infos;
  std::unordered_map<std::string_view, std::size_t> index;  // keys are the names in infos
};

Parameters::Parameters(std::vector<ParameterInfo> infos, std::vector<at::Tensor> tensors)
    : tensors_(std::move(tensors)) {
  if (infos.size() != tensors_.size()) {
    fail(ErrorCode::kInvalidArgument, infos.size(), " parameters are described and ", tensors_.size(), " given");
  }
  auto table = std::make_shared<Table>();
  table->infos = std::move(infos);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const ParameterInfo& info = table->infos[i];
    if (!tensors_[i].defined() || tensors_[i].sizes() != at::IntArrayRef(info.shape)) {
      fail(ErrorCode::kInvalidArgument, "parameter ", info.name, ": expected shape ", at::IntArrayRef(info.shape),
           ", found ", tensors_[i].defined() ? cat(tensors_[i].sizes()) : "no tensor");
    }
    if (!table->index.emplace(info.name, i).second) {
      fail(ErrorCode::kInvalidArgument, "parameter ", info.name, " is given twice");
    }
  }
  table_ = std::move(table);
}

const std::vector<ParameterInfo>& Parameters::infos() const {
  static const std::vector<ParameterInfo> kNone;
  return table_ == nullptr ? kNone : table_->infos;
}

const at::Tensor* Parameters::find(std::string_view name) const {
  if (table_ == nullptr) return nullptr;
  const auto it = table_->index.find(name);
  return it == table_->index.end() ? nullptr : &tensors_[it->second];
}

std::size_t Parameters::index(std::string_view name) const {
  if (table_ != nullptr) {
    if (const auto it = table_->index.find(name); it != table_->index.end()) return it->second;
  }
  std::vector<std::string_view> names;
  for (const ParameterInfo& info : infos()) names.push_back(info.name);
  fail(ErrorCode::kNotFound, "the model has no parameter \"", name, "\"", did_you_mean(name, names), "; it has ",
       names.size(), " parameters, such as layers.0.mlp.down.weight");
}

const ParameterInfo& Parameters::info(std::string_view name) const { return infos()[index(name)]; }

const at::Tensor& Parameters::at(std::string_view name) const { return tensors_[index(name)]; }

Parameters Parameters::with(std::string_view name, at::Tensor tensor) const {
  const std::size_t place = index(name);
  const ParameterInfo& info = infos()[place];
  if (!tensor.defined() || tensor.sizes() != at::IntArrayRef(info.shape)) {
    fail(ErrorCode::kInvalidArgument, "parameter ", name, ": expected shape ", at::IntArrayRef(info.shape), ", found ",
         tensor.defined() ? cat(tensor.sizes()) : "no tensor");
  }
  Parameters changed = *this;
  changed.tensors_[place] = std::move(tensor);
  return changed;
}

Parameters Parameters::to(at::ScalarType dtype, at::Device device) const {
  Parameters changed = *this;
  for (at::Tensor& tensor : changed.tensors_) tensor = tensor.to(device, dtype);
  return changed;
}

}  // namespace palimpsest::model
