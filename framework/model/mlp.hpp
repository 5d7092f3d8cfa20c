// The MLP's inner activation: what the down-projection reads, the editors' key.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/config.hpp"

namespace palimpsest::model {

// act(gate) * up, or act(up) when `gate` is undefined. May write into its arguments where no gradient needs them: pass
// tensors that nobody else holds.
at::Tensor mlp_key(Activation activation, at::Tensor gate, at::Tensor up);

}  // namespace palimpsest::model
