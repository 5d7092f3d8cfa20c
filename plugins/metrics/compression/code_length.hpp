// How many bits a model needs for a text, and how many bytes the text has without it.
#pragma once

#include <cstdint>
#include <limits>

#include "palimpsest/sdk/likelihood.hpp"

namespace palimpsest::compression {

// Sums over the texts of a set D.
struct CodeLength {
  double bits = 0;
  std::int64_t bytes = 0;

  void add(const sdk::Likelihood& likelihood, std::int64_t raw_bytes) {
    bits += likelihood.bits();
    bytes += raw_bytes;
  }
  // gamma(D), bit/byte; NaN for an empty set.
  double gamma() const {
    return bytes == 0 ? std::numeric_limits<double>::quiet_NaN() : bits / static_cast<double>(bytes);
  }
};

// a / b; NaN where nothing was edited (b = 0) or a is unknown (NaN).
inline double ratio(double a, double b) { return b > 0 ? a / b : std::numeric_limits<double>::quiet_NaN(); }

}  // namespace palimpsest::compression
