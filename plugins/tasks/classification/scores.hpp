// Accuracy and macro-averaged F1 of predicted labels.
#pragma once

#include <cstdint>
#include <vector>

namespace palimpsest::classification {

// Counts of (true label, predicted label) pairs. Labels are 0 .. labels - 1.
class Confusion {
 public:
  explicit Confusion(std::size_t labels) : labels_(labels), counts_(labels * labels, 0) {}

  void add(std::size_t truth, std::size_t predicted) { ++counts_[truth * labels_ + predicted]; }

  std::int64_t total() const {
    std::int64_t sum = 0;
    for (const auto count : counts_) sum += count;
    return sum;
  }
  double accuracy() const {
    std::int64_t right = 0;
    for (std::size_t i = 0; i < labels_; ++i) right += at(i, i);
    return static_cast<double>(right) / static_cast<double>(total());
  }
  // Share of the most frequent true label: what always giving it would score.
  double majority() const {
    std::int64_t most = 0;
    for (std::size_t i = 0; i < labels_; ++i) most = most < of(i).true_count ? of(i).true_count : most;
    return static_cast<double>(most) / static_cast<double>(total());
  }
  // Mean of F1 = 2 TP / (2 TP + FP + FN) over the labels that occur as truth or prediction; a label that is never hit
  // counts 0.
  double macro_f1() const {
    double sum = 0;
    std::int64_t occurring = 0;
    for (std::size_t i = 0; i < labels_; ++i) {
      const Marginal m = of(i);
      if (m.true_count + m.predicted_count == 0) continue;
      ++occurring;
      sum += 2.0 * static_cast<double>(at(i, i)) / static_cast<double>(m.true_count + m.predicted_count);
    }
    return sum / static_cast<double>(occurring);
  }

 private:
  struct Marginal {
    std::int64_t true_count = 0, predicted_count = 0;
  };
  std::int64_t at(std::size_t truth, std::size_t predicted) const { return counts_[truth * labels_ + predicted]; }
  Marginal of(std::size_t label) const {
    Marginal m;
    for (std::size_t other = 0; other < labels_; ++other) {
      m.true_count += at(label, other);
      m.predicted_count += at(other, label);
    }
    return m;
  }

  std::size_t labels_;
  std::vector<std::int64_t> counts_;  // [truth, predicted]
};

}  // namespace palimpsest::classification
