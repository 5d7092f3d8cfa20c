// AdamW (Loshchilov and Hutter 2019) over float32 weights, by torch's fused kernel: weights and both moments pass
// memory once per step.
//
// Decoupled weight decay falls on matrices (embeddings included) and never on vectors (norm weights, biases). The
// object holds the weights' tensors and owns two moments of each; they are freed with it. One object, one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

namespace palimpsest::training {

struct AdamWOptions {
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
};

class AdamW {
 public:
  // `weights` are contiguous float32 leaf tensors that require grad, and are written in place. Throws
  // Error(kInvalidArgument) for others, and for options outside their ranges.
  AdamW(const std::vector<at::Tensor>& weights, const AdamWOptions& options);

  // The norm of all weights' gradients taken as one vector. A weight without a gradient counts as 0.
  double gradient_norm() const;
  // One step by the weights' .grad(), of which each is first divided by `divisor` (the gradients are scratch after it).
  // A weight that has no gradient keeps its value and moments.
  void step(double learning_rate, double divisor = 1.0);
  // Frees the gradients.
  void clear_gradients();

  std::int64_t steps() const { return steps_; }

 private:
  struct Group {
    double weight_decay = 0;
    std::vector<at::Tensor> weights, first, second;
  };

  AdamWOptions options_;
  std::array<Group, 2> groups_;
  std::int64_t steps_ = 0;
};

// Frobenius norm of a float32 tensor: rows in float32, over the rows in float64, since a float32 sum over millions of
// squares would lose digits.
double norm_of(const at::Tensor& tensor);

// What gradients are divided by so that their norm is at most `clip_norm`: 1 when it is already, or when clip_norm is
// 0.
double clip_divisor(double gradient_norm, double clip_norm);

}  // namespace palimpsest::training
