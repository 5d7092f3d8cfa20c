// Products of matrices in bfloat16, on processors that have no instructions for them.
//
// On the CPU libtorch multiplies bfloat16 by oneDNN's kernels, which on x86 want AVX-512; where they are missing it
// falls back to a plain loop, many times slower than float32. There the factors are widened, multiplied in float32 and
// the result rounded: a product of two bfloat16 is exact in float32, so this rounds
// where a kernel for bfloat16 rounds. Everywhere else these functions are libtorch's own. Why: docs/decisions/0010.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace palimpsest::model {

// Whether libtorch has kernels for products in bfloat16 on this processor; it is libtorch that is asked. Thread-safe.
bool multiplies_bfloat16();
// For tests: what multiplies_bfloat16() answers from now on, or the truth again.
void pretend_multiplies_bfloat16(std::optional<bool> answer);

// Whether a product whose first factor is `x` is one in bfloat16, by its type or by autocast, that is to be widened.
bool is_to_be_widened(const at::Tensor& x);

// x W^T + b as at::linear, under autocast too: x [..., in], weight [out, in], bias [out]; differentiable in all three.
at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias = std::nullopt);

// What product() does where is_to_be_widened(x): the factors are rounded to bfloat16 and multiplied in float32, and the
// result is bfloat16. Gradients are products of widened factors too, in the types of what they are gradients of; not
// themselves differentiable.
at::Tensor widened_product(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias);

}  // namespace palimpsest::model
