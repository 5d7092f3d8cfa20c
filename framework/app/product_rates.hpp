// How fast this processor multiplies matrices, by type of number: what a plan's time is counted by.
#pragma once

#include <c10/core/ScalarType.h>

#include "config/experiment.hpp"

namespace palimpsest::app {

// Floating-point operations per second of one thread in the runtime's product (model::product) of two square matrices
// of `dtype`, in the processor's time of this thread: what other programs take from the machine does not count. Takes a
// third of a second, or three products if they take longer.
double product_rate(at::ScalarType dtype);

// Whether the processor multiplies in bfloat16 at all: on a CPU, by model.dtype or training.precision.
bool multiplies_in_bfloat16(const config::Experiment& experiment);

}  // namespace palimpsest::app
