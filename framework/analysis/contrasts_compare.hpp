// One contrast: what two sets of rows say at their measuring points, and how sure their difference is.
//
// A fact counts once in a replicate: its edits (scope `isolated`) are averaged first. Pure functions. Safe from any
// thread.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/statistics.hpp"
#include "analysis/summary.hpp"

namespace palimpsest::analysis {

// What one measuring point says of each row, against the reference: still there (1, 0; missing where it was not there
// at the reference), or how much it changed.
struct AtPoint {
  std::string stage, baseline;                  // "" where there is nothing to compare
  std::int64_t step = 0;                        // the largest among replicates and isolated edits
  std::map<std::int64_t, Series::Values> rows;  // by replicate
};

// `retention`: of a rate's series; else of a mean's. `baseline` is the rate's, as reference_of takes it.
AtPoint at_point(const Series& series, const Point& point, bool retention, std::string_view baseline);

// a minus b.
struct Compared {
  Interval difference;
  static constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
  double value_a = kMissing, value_b = kMissing, p = kMissing, detectable = kMissing;
  std::int64_t facts_a = 0, facts_b = 0;
};

// The same facts in both, one difference per fact and replicate; p by flipping signs. Where only one of the two has an
// edited model for each edit (scope isolated against a shared model), a fact's mean over them is compared; else only
// rows that both have count.
Compared compare_paired(const AtPoint& a, const AtPoint& b, bool retention, const SummaryOptions& options);

// Of a replicate, the number of its lot: two that exchange roles have the same one.
using Lots = std::map<std::int64_t, std::int64_t>;
// Facts of two roles in the same models. A fact that has both roles in its lot is its own control: it is drawn with
// both values. p deals the roles anew within each lot. The smallest detectable difference leaves the design out of
// account.
Compared compare_roles(const AtPoint& a, const AtPoint& b, const Lots& lots, bool retention,
                       const SummaryOptions& options);

// NaN for none.
double mean_of(const std::vector<double>& values);

}  // namespace palimpsest::analysis
