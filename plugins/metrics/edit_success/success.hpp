// The arithmetic of edit success: means over probes, and the harmonic mean of three shares.
#pragma once

#include <cstdint>
#include <limits>

namespace palimpsest::edit_success {

// NaN while empty.
class Mean {
 public:
  void add(double value) {
    sum_ += value;
    ++count_;
  }
  bool empty() const { return count_ == 0; }
  std::int64_t count() const { return count_; }
  double value() const {
    return empty() ? std::numeric_limits<double>::quiet_NaN() : sum_ / static_cast<double>(count_);
  }

 private:
  double sum_ = 0;
  std::int64_t count_ = 0;
};

// 3 / (1/a + 1/b + 1/c) of shares in [0, 1]; 0 as soon as one is 0, its limit. NaN when one is NaN.
inline double harmonic_mean(double a, double b, double c) {
  if (a * b * c == 0) return 0;
  return 3 / (1 / a + 1 / b + 1 / c);
}

}  // namespace palimpsest::edit_success
