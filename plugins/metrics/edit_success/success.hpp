// The arithmetic of edit success: means over probes.
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

}  // namespace palimpsest::edit_success
