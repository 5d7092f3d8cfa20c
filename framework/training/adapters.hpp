// Adapters: fine-tuning that represents the change of a matrix W [out, in] by few numbers and leaves W itself alone.
//
//   LoRA (Hu et al. 2021, arXiv 2106.09685, equation 3)   W' = W + s B A,  s = alpha / rank
//   DoRA (Liu et al. 2024, arXiv 2402.09353, equation 5)  W' = m (W + s B A) / |W + s B A|, row by row
//
// A [rank, in] starts Kaiming-uniform (bound 1 / sqrt(in)) from a named stream, B [out, rank] at 0, and the magnitude m
// [out] at the norm of each output row of W, so training starts at W. In DoRA's backward pass the norm is a constant
// (section 4.3), as in PEFT. Dropout acts on what A (in DoRA, the change) reads, during training only. W's bytes are
// never written: merged() makes copies. One object, one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.hpp"
#include "model/decoder.hpp"
#include "model/parameters.hpp"
#include "training/decision.hpp"

namespace palimpsest::training {

enum class TuningMethod {
  kFull,  // the weights themselves
  kLora,
  kDora,
};
std::string_view name_of(TuningMethod method);
// Throw Error(kInvalidArgument) with what is available.
TuningMethod parse_tuning_method(std::string_view name);
// Names of roles that an adapter can stand on: the matrices of a layer, e.g. "mlp_down".
std::vector<model::ParameterRole> parse_targets(const std::vector<std::string>& names);

struct TuningOptions {
  TuningMethod method = TuningMethod::kFull;
  // Of adapters only:
  std::int64_t rank = 8;
  double alpha = 16;
  double dropout = 0;                         // share of what the adapter reads that is set to 0
  std::vector<model::ParameterRole> targets;  // matrices of these roles get one
};

// The places of the parameters that get an adapter: of a target role, and not frozen. Throws Error: kInvalidArgument
// when there are none; kUnsupported, naming the parameter, for one that a freeze policy projects, since the projection
// of B A is no B A any more.
std::vector<std::size_t> adapted(const model::Parameters& parameters, const std::vector<Decision>& decisions,
                                 const TuningOptions& options);

class Adapters {
 public:
  // Holds `entering`'s tensors. Throws what adapted() throws, and kInvalidArgument for options outside their ranges.
  Adapters(const model::Parameters& entering, const std::vector<Decision>& decisions, const TuningOptions& options,
           std::uint64_t seed);

  // The leaves to train, float32: A, B and (DoRA) m of each adapter, in the order of the parameters; and their names,
  // e.g. "layers.5.mlp.down.weight: A".
  const std::vector<at::Tensor>& trained() const { return trained_; }
  const std::vector<std::string>& names() const { return names_; }

  // The adapted weights for one forward and backward pass, dropout included: every call draws anew, and what it gives
  // drops the same wherever it is used.
  model::Overrides overrides();
  // To be called after the leaves were written: DoRA's norms follow.
  void stepped();
  // The entering parameters with merged copies of the adapted ones.
  model::Parameters merged() const;

 private:
  struct Adapter {
    std::size_t place;
    at::Tensor a, b, magnitude;
    at::Tensor norm;  // of the rows of W + s B A, without graph
  };
  at::Tensor row_norms(const Adapter& adapter) const;

  model::Parameters entering_;
  TuningMethod method_;
  double scaling_, dropout_;
  std::vector<Adapter> adapters_;
  std::vector<at::Tensor> trained_;
  std::vector<std::string> names_;
  std::optional<Rng> dropout_seeds_;  // one for every adapter of a pass; nothing without dropout
};

}  // namespace palimpsest::training
