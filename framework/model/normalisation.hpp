// RMS norm and layer norm over the last dimension, computed in at least float32, returned in the input's dtype (under
// autocast: in the autocast dtype, so that the products that follow need not convert it again). Differentiable.
#pragma once

#include <ATen/core/Tensor.h>

namespace palimpsest::model {

// weight * x / sqrt(mean(x^2) + eps). x [..., D], weight [D].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

// weight * (x - mean) / sqrt(variance + eps) + bias. `bias` may be undefined.
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);

}  // namespace palimpsest::model
