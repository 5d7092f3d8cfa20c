// What a pass multiplies by: the model's weights, some of them changed for this pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "model/decoder.hpp"
#include "model/head.hpp"
#include "model/parameters.hpp"

namespace palimpsest::model {

// Weights by name, with the overrides in their places. Holds references: both arguments must outlive it.
class Weights {
 public:
  // Throws kNotFound, kInvalidArgument for an override that does not fit.
  Weights(const Parameters& parameters, const Overrides& overrides);

  // x W^T + b of `stem`.weight and, if there is one, `stem`.bias.
  at::Tensor linear(const std::string& stem, const at::Tensor& x) const;
  // The same of a weight by its whole name and a bias, null for none.
  at::Tensor linear(const std::string& name, const at::Tensor* bias, const at::Tensor& x) const;
  // Rows `ids` of a table. `sparse`: the table's gradient holds these rows only.
  at::Tensor rows(const std::string& name, const at::Tensor& ids, bool sparse = false) const;
  // A weight that may be overridden by a dense one only.
  const at::Tensor& dense(const std::string& name) const;
  // Null when the model has no such parameter.
  const at::Tensor* find_dense(const std::string& name) const;
  // The head's products, at most two, and its bias, undefined when it has none.
  std::vector<HeadTerm> head_terms(const std::string& name, const at::Tensor& x) const;
  at::Tensor head_bias() const;

  const Parameters& parameters() const { return parameters_; }
  const Overrides& overrides() const { return overrides_; }

 private:
  const Override* override_of(const std::string& name) const;

  const Parameters& parameters_;
  const Overrides& overrides_;
};

}  // namespace palimpsest::model
