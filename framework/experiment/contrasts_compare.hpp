// One contrast: what two sets of rows say at the last measuring point, and how sure their difference is.
//
// A fact counts once in a replicate: its edits (scope `isolated`) are averaged first. Pure functions. Safe from any
// thread.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "experiment/statistics.hpp"
#include "experiment/summary.hpp"

namespace palimpsest::experiment {

// What the last measuring point says of each row, against the reference: still there (1, 0; missing where it was not
// there at the reference), or how much it changed.
struct Last {
  std::string stage, baseline;                  // "" where there is nothing to compare
  std::map<std::int64_t, Series::Values> rows;  // by replicate
};

// `retention`: of a rate's series; else of a mean's. The reference is the first stage `edited`, or the unedited model
// where that is absent or the last point itself.
Last last_of(const Series& series, bool retention);

// a minus b.
struct Compared {
  Interval difference;
  static constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
  double value_a = kMissing, value_b = kMissing, p = kMissing, detectable = kMissing;
  std::int64_t facts_a = 0, facts_b = 0;
};

// The same rows in both, one difference per fact and replicate; p by flipping signs.
Compared compare_paired(const Last& a, const Last& b, bool retention, const SummaryOptions& options);
// Other facts of the same replicates; p by exchanging the roles within each replicate.
Compared compare_unpaired(const Last& a, const Last& b, bool retention, const SummaryOptions& options);

// NaN for none.
double mean_of(const std::vector<double>& values);

}  // namespace palimpsest::experiment
