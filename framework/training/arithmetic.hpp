// In which arithmetic forward and backward passes run.
//
// Both settings are torch's and hold for the process (matmul) or thread (autocast): an ArithmeticScope sets them, and
// its end brings back what was before, so that nothing else is computed differently because a run is going on. Not
// nested.
#pragma once

#include <array>
#include <string_view>

#include "model/autocast.hpp"

namespace palimpsest::training {

enum class Precision {
  kFloat32,
  kBfloat16Autocast,  // products in bfloat16, sums, norms and the trained weights in float32
};

// The library of float32 products on the CPU.
enum class Matmul {
  kMkl,
  kOneDnn,
};

// Throw Error(kInvalidArgument) with what is available.
Precision parse_precision(std::string_view name);
Matmul parse_matmul(std::string_view name);

// torch uses oneDNN for float32 products only where it may also round their factors; on processors with matrix units
// (AMX) oneDNN then does. Throws Error(kUnsupported) where a product so computed is not a float32 product.
void check_matmul(Matmul matmul);

class ArithmeticScope {
 public:
  ArithmeticScope(Precision precision, Matmul matmul);
  ~ArithmeticScope();
  ArithmeticScope(const ArithmeticScope&) = delete;
  ArithmeticScope& operator=(const ArithmeticScope&) = delete;

 private:
  const char* matmul_before_;                       // as torch names it
  std::array<model::Autocast, 2> autocast_before_;  // of the types of device that the model may be on
};

}  // namespace palimpsest::training
