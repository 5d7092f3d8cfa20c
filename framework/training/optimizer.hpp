// AdamW (Loshchilov and Hutter 2019), by torch's fused kernel: weights and both moments pass memory once per step.
//
// Decoupled weight decay falls on matrices (embeddings included) and never on vectors (norm weights, biases). Moments
// are float32; they lie beside the weights or in the host's memory, from where a step moves them in pieces. Weights are
// float32, or bfloat16 without a wider copy: these are stepped in float32 in pieces, and rounded stochastically
// (rounding.hpp). Neither the place of the moments nor the pieces show in a number. The object holds the weights'
// tensors and owns two moments of each; they are freed with it. One object, one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "training/memory.hpp"

namespace palimpsest::training {

struct AdamWOptions {
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  StatePlace state = StatePlace::kDevice;
  std::int64_t piece = std::int64_t{1} << 22;  // numbers of a piece; a multiple of 64, as the kernel's own parts
};

// What the weights in bfloat16 are rounded by: stream "training.rounding/<step>/<name>" of the seed.
struct RoundingSource {
  std::uint64_t seed = 0;
  std::vector<std::string> names;  // one for each weight
};

class AdamW {
 public:
  // `weights` are contiguous leaf tensors in float32, or with a `rounding` in bfloat16, that require grad, and are
  // written in place. Throws Error(kInvalidArgument) for others, and for options outside their ranges.
  AdamW(const std::vector<at::Tensor>& weights, const AdamWOptions& options, RoundingSource rounding = {});

  // The norm of all weights' gradients taken as one vector. A weight without a gradient counts as 0.
  double gradient_norm() const;
  // One step by the weights' .grad(), of which each is first divided by `divisor` (the gradients are scratch after it).
  // A weight that has no gradient keeps its value and moments.
  void step(double learning_rate, double divisor = 1.0);
  // Frees the gradients.
  void clear_gradients();

  std::int64_t steps() const { return steps_; }

 private:
  struct Slot {
    at::Tensor weight, first, second;
    std::string name;  // of the rounding's stream
  };
  struct Group {
    double weight_decay = 0;
    std::vector<Slot> slots;
  };
  // Tensors of the same lengths, one device and float32, of which the kernel takes any number at once.
  struct Operands {
    std::vector<at::Tensor> weights, gradients, first, second;
  };

  bool whole(const Slot& slot) const;
  void step_in_pieces(const Slot& slot, double weight_decay, double learning_rate, double divisor) const;
  void run_kernel(const Operands& operands, double weight_decay, double learning_rate, double divisor) const;

  AdamWOptions options_;
  std::uint64_t rounding_seed_;
  std::array<Group, 2> groups_;
  std::int64_t steps_ = 0;
};

// Frobenius norm of a tensor: rows in float32, over the rows in float64, since a float32 sum over millions of squares
// would lose digits.
double norm_of(const at::Tensor& tensor);

// What gradients are divided by so that their norm is at most `clip_norm`: 1 when it is already, or when clip_norm is
// 0.
double clip_divisor(double gradient_norm, double clip_norm);

}  // namespace palimpsest::training
