// One forward pass: the decoder's inner machine, for forward(), causal_loss() and generate().
//
// Tokens are kept packed, [tokens of all rows, width], so that padding costs nothing outside attention; a pass belongs
// to one thread and runs once.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "model/attention.hpp"
#include "model/decoder.hpp"
#include "model/head.hpp"
#include "model/rotary.hpp"

namespace palimpsest::model {

// Weights by name, with the overrides in their places. Holds references: both arguments must outlive it.
class Weights {
 public:
  // Throws kNotFound, kInvalidArgument for an override that does not fit.
  Weights(const Parameters& parameters, const Overrides& overrides);

  // x W^T + b of `stem`.weight and, if there is one, `stem`.bias.
  at::Tensor linear(const std::string& stem, const at::Tensor& x) const;
  // Rows `ids` of a table. `sparse`: the table's gradient holds these rows only.
  at::Tensor rows(const std::string& name, const at::Tensor& ids, bool sparse = false) const;
  // A weight that may be overridden by a dense one only.
  const at::Tensor& dense(const std::string& name) const;
  // Null when the model has no such parameter.
  const at::Tensor* find_dense(const std::string& name) const;
  // The head's products, at most two; a bias is in them.
  std::vector<HeadTerm> head_terms(const std::string& name, const at::Tensor& x) const;

 private:
  const Override* override_of(const std::string& name) const;

  const Parameters& parameters_;
  const Overrides& overrides_;
};

// How tokens of several rows lie packed one row after the other.
class Batch {
 public:
  Batch() = default;
  Batch(std::int64_t rows, std::int64_t tokens, std::vector<std::int64_t> lengths, at::Device device);

  std::int64_t rows() const { return rows_; }
  std::int64_t tokens() const { return tokens_; }
  std::int64_t count() const { return count_; }
  const std::vector<std::int64_t>& lengths() const { return lengths_; }
  // [rows, tokens, ...] <-> [count, ...]; padding reads as 0.
  at::Tensor pack(const at::Tensor& padded) const;
  at::Tensor unpack(const at::Tensor& packed) const;
  // Throws kOutOfRange naming `what`.
  std::int64_t place(const RowPosition& position, std::string_view what) const;

 private:
  std::int64_t rows_ = 0, tokens_ = 0, count_ = 0;
  std::vector<std::int64_t> lengths_, offsets_;
  at::Tensor index_;  // places of the packed tokens among rows * tokens; undefined when there is no padding
};

class Pass {
 public:
  // The arguments must outlive the pass. Checks everything that can be checked before work starts. `past` null: as the
  // request's cache says.
  Pass(const Config& config, const Parameters& parameters, const ForwardRequest& request, const Past* past = nullptr);

  // With `sparse_embedding` the gradient of the embedding from the tokens read is sparse: for a head that is tied to
  // it, whose own gradient is dense and takes the rows up.
  void run(bool sparse_embedding = false);

  // After run(): the last layer's output through the final norm, at these packed places; undefined: at all, in order.
  at::Tensor final_rows(const at::Tensor& places) const;
  const Batch& batch() const { return batch_; }
  const Weights& weights() const { return weights_; }
  std::string head_name() const { return config_.tied_head ? "embed" : "head"; }
  ForwardResult result();

 private:
  void check_request();
  void check_sites() const;
  at::Tensor embed(bool sparse) const;
  at::Tensor layer(std::int64_t number, const at::Tensor& x);
  at::Tensor attention(const std::string& stem, std::int64_t number, const at::Tensor& x) const;
  at::Tensor norm(const std::string& stem, const at::Tensor& x) const;
  // Replacements and captures of a site; x and the result are packed.
  at::Tensor visit(SitePoint point, std::int64_t layer, at::Tensor x);
  at::Tensor replaced(const Replacement& replacement, const at::Tensor& x) const;
  bool visited(SitePoint point) const;
  at::Tensor places(const std::vector<RowPosition>& positions, std::string_view what) const;

  const Config& config_;
  Weights weights_;
  const ForwardRequest& request_;
  at::Device device_;
  Batch batch_;
  std::int64_t first_layer_, end_layer_;
  std::unique_ptr<CacheMemory> own_memory_;
  Past past_;
  at::Tensor positions_;  // absolute, [count] int64
  RotaryTable rotary_;
  at::Tensor hidden_;  // packed residual stream
  at::Tensor final_;   // packed, when a site wants it everywhere
  std::vector<at::Tensor> captured_;
};

}  // namespace palimpsest::model
