// From hidden states to log-probabilities without ever holding [positions x vocabulary]: the product with the head and
// the softmax are taken chunk by chunk of the positions, in forward and backward.
//
// All functions are differentiable in hidden and weight (and the low-rank factors), on any device, and follow autocast:
// the products then run in the autocast dtype, softmax and sums in float32. Thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace palimpsest::model {

// logits = bias + sum over terms of x W^T. One term is a plain head; a second one is a low-rank override (x V, U).
struct HeadTerm {
  at::Tensor x;       // [n, k]
  at::Tensor weight;  // [vocabulary, k]
};

// log p(targets[i]) at position i: [n] float32. Saves only the log-sum-exp; the backward computes the logits again. The
// bias [vocabulary], undefined for none, is added with the first term before it is rounded, here as wherever logits are
// made.
at::Tensor target_logprobs(const std::vector<HeadTerm>& terms, const at::Tensor& targets, const at::Tensor& bias = {});

// Mean of -log p(labels[i]) over labels[i] != -100, a float32 scalar; hidden [n, hidden], weight [vocabulary, hidden],
// labels [n] int64, bias as above. Gradients are made in the forward, chunk by chunk, when grad mode is on; those of
// weight and bias only if they require one. Throws kInvalidArgument when no label counts or one is outside the
// vocabulary.
at::Tensor cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                         const at::Tensor& bias = {});

}  // namespace palimpsest::model
