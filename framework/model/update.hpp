// Weight updates of an edit, and the one place where they meet a weight: W' = round(float32(W) + update), once per
// update, in order.
//
// An Update is a recorded artefact: it can be applied again, written and read. Nothing here writes into a tensor:
// applying gives new Parameters that share every other weight, so undoing an edit is keeping the old value.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/parameters.hpp"

namespace palimpsest::model {

// Either low rank, W += u v^T with u [out, r] and v [in, r], or dense [out, in] (or the parameter's own shape).
// float32, on the CPU, contiguous, no graph.
struct Update {
  std::string parameter;
  at::Tensor u, v;
  at::Tensor dense;
  // Where it comes from: ids of the facts of the editor's call, one a request in their order, and the ordinal of the
  // stage that edited. Which column belongs to whom: services/update_origin.h.
  std::vector<std::string> facts = {};
  std::int64_t ordinal = -1;

  std::int64_t rank() const;  // 0 for a dense update
  // Frobenius norm of the change, in float64.
  double norm() const;
};

// An update in its recorded form from what an editor gave. Throws Error naming parameter and shapes: kNotFound (no such
// parameter, with "did you mean"), kInvalidArgument (a wrong shape or dtype), kNumeric (NaN or infinity).
Update make_low_rank(const Parameters& parameters, std::string_view parameter, const at::Tensor& u,
                     const at::Tensor& v);
Update make_dense(const Parameters& parameters, std::string_view parameter, const at::Tensor& delta);

// Throws kNumeric when a weight is no longer finite.
Parameters apply(const Parameters& parameters, const Update& update);

}  // namespace palimpsest::model
