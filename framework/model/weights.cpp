#include "model/weights.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "base/error.hpp"
#include "model/product.hpp"

namespace palimpsest::model {

Weights::Weights(const Parameters& parameters, const Overrides& overrides)
    : parameters_(parameters), overrides_(overrides) {
  for (const auto& [name, change] : overrides) {
    const ParameterInfo& info = parameters.info(name);
    const at::IntArrayRef shape(info.shape);
    const bool low_rank = change.u.defined() || change.v.defined();
    if (change.dense.defined() == low_rank) {
      fail(ErrorCode::kInvalidArgument, "override of ", name, ": give either a dense tensor or U and V");
    }
    if (change.dense.defined()) {
      if (change.dense.sizes() != shape) {
        fail(ErrorCode::kInvalidArgument, "override of ", name, ": expected shape ", shape, ", found ",
             change.dense.sizes());
      }
      continue;
    }
    if (shape.size() != 2) {
      fail(ErrorCode::kInvalidArgument, "override of ", name, ": it is a vector, which takes a dense override only");
    }
    if (!change.u.defined() || !change.v.defined() || change.u.dim() != 2 || change.v.dim() != 2 ||
        change.u.size(0) != shape[0] || change.v.size(0) != shape[1] || change.u.size(1) != change.v.size(1)) {
      fail(ErrorCode::kInvalidArgument, "override of ", name, ": expected U [", shape[0], ", r] and V [", shape[1],
           ", r], found ", change.u.defined() ? cat(change.u.sizes()) : "no U", " and ",
           change.v.defined() ? cat(change.v.sizes()) : "no V");
    }
    if (!change.row_scale.defined() && !change.input) continue;
    if (info.layer < 0 || (change.row_scale.defined() && change.row_scale.sizes() != at::IntArrayRef{shape[0]})) {
      fail(ErrorCode::kInvalidArgument, "override of ", name,
           ": a row_scale or an input is for a layer's matrix, and a ", "row_scale has shape [", shape[0], "]");
    }
  }
}

const Override* Weights::override_of(const std::string& name) const {
  if (overrides_.empty()) return nullptr;
  const auto it = overrides_.find(name);
  return it == overrides_.end() ? nullptr : &it->second;
}

const at::Tensor* Weights::find_dense(const std::string& name) const {
  if (const Override* change = override_of(name); change != nullptr && change->dense.defined()) return &change->dense;
  return parameters_.find(name);
}

const at::Tensor& Weights::dense(const std::string& name) const {
  if (const at::Tensor* found = find_dense(name)) return *found;
  return parameters_.at(name);
}

at::Tensor Weights::linear(const std::string& stem, const at::Tensor& x) const {
  return linear(stem + ".weight", find_dense(stem + ".bias"), x);
}

at::Tensor Weights::linear(const std::string& name, const at::Tensor* bias, const at::Tensor& x) const {
  const Override* change = override_of(name);
  const bool low_rank = change != nullptr && change->u.defined();
  const bool scaled = low_rank && change->row_scale.defined();
  const bool bias_last = scaled && bias != nullptr;  // the bias is not scaled
  at::Tensor y = product(x, dense(name), bias == nullptr || bias_last ? std::nullopt : std::make_optional(*bias));
  if (!low_rank) return y;
  const at::Tensor read = change->input ? change->input(x) : x;
  at::Tensor changed = product(product(read, change->v.t()), change->u);
  if (!scaled) {
    y = y + changed;
  } else if (!change->input) {
    y = (y + changed) * change->row_scale;
  } else {
    y = y + (change->row_scale - 1) * product(read, dense(name)) + change->row_scale * changed;
  }
  return bias_last ? y + *bias : y;
}

at::Tensor Weights::rows(const std::string& name, const at::Tensor& ids, bool sparse) const {
  const at::Tensor& table = dense(name);
  // The gradient of a frequent token is a sum over its places, which bfloat16 would stop at 256 ones.
  const bool widen =
      at::isReducedFloatingType(table.scalar_type()) && table.requires_grad() && at::GradMode::is_enabled();
  at::Tensor rows = widen ? at::embedding(table.to(at::kFloat), ids).to(table.scalar_type())
                          : at::embedding(table, ids, -1, false, sparse);
  if (const Override* change = override_of(name); change != nullptr && change->u.defined()) {
    rows = rows + product(at::embedding(change->u, ids), change->v);
  }
  return rows;
}

std::vector<HeadTerm> Weights::head_terms(const std::string& name, const at::Tensor& x) const {
  std::vector<HeadTerm> terms = {{x, dense(name)}};
  if (const Override* change = override_of(name); change != nullptr && change->u.defined()) {
    terms.push_back({product(x, change->v.t()), change->u});
  }
  return terms;
}

at::Tensor Weights::head_bias() const {
  const at::Tensor* bias = find_dense("head.bias");
  return bias != nullptr ? *bias : at::Tensor();
}

}  // namespace palimpsest::model
