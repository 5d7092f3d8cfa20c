// How fast this processor multiplies matrices, by type of number: what a plan's time is counted by, and whether
// bfloat16 is of use here.
#pragma once

#include <c10/core/ScalarType.h>

#include <string>

#include "config/experiment.hpp"

namespace palimpsest::app {

// Floating-point operations per second of one thread in the product of two square matrices of `dtype`, in the
// processor's time of this thread: what other programs take from the machine does not count. Takes a third of a second,
// or three products if they take longer.
double product_rate(at::ScalarType dtype);

// Whether the processor multiplies in bfloat16 at all: on a CPU, by model.dtype or training.precision.
bool multiplies_in_bfloat16(const config::Experiment& experiment);

// What to say of an experiment that does, when it would be served better by float32; empty when bfloat16 reaches at
// least a quarter of float32's rate. (Processors with units for it reach more than the whole, those that widen vectors
// for it some four fifths, and those for which libtorch has no such kernel a hundredth.)
std::string bfloat16_warning(double float32_rate, double bfloat16_rate);

}  // namespace palimpsest::app
