// One forward pass: the decoder's inner machine, for forward(), causal_loss() and generate().
//
// Tokens are kept packed, [tokens of all rows, width], so that padding costs nothing outside attention; a pass belongs
// to one thread and runs once.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "model/attention.hpp"
#include "model/batch.hpp"
#include "model/decoder.hpp"
#include "model/layer.hpp"
#include "model/weights.hpp"

namespace palimpsest::model {

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
  const Batch& batch() const { return tokens_.batch; }
  const Weights& weights() const { return weights_; }
  std::string head_name() const { return config_.tied_head ? "embed" : "head"; }
  ForwardResult result();

 private:
  void check_request();
  void check_sites() const;
  at::Tensor embed(bool sparse) const;
  at::Tensor layer(std::int64_t number, const at::Tensor& x);
  // Replacements and captures of a site; x and the result are packed.
  at::Tensor visit(SitePoint point, std::int64_t layer, at::Tensor x);
  at::Tensor replaced(const Replacement& replacement, const at::Tensor& x) const;
  bool visited(SitePoint point) const;
  bool visited(std::int64_t layer) const;
  at::Tensor places(const std::vector<RowPosition>& positions, std::string_view what) const;

  const Config& config_;
  Weights weights_;
  const ForwardRequest& request_;
  at::Device device_;
  PassTokens tokens_;
  std::int64_t first_layer_, end_layer_;
  std::unique_ptr<CacheMemory> own_memory_;
  at::Tensor positions_;  // absolute, [count] int64
  at::Tensor hidden_;     // packed residual stream
  at::Tensor final_;      // packed, when a site wants it everywhere
  std::vector<at::Tensor> captured_;
};

}  // namespace palimpsest::model
