// The two-level bootstrap (docs/results-format.md, /summary) and the intervals made with it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.hpp"
#include "base/rng.hpp"
#include "experiment/statistics.hpp"

namespace palimpsest::experiment {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The quantile of sorted values by linear interpolation between order statistics (type 7 of Hyndman and Fan 1996).
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(at));
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

template <typename Row>
using Rows = std::vector<std::vector<Row>>;

// Rows without missing values; a replicate's place stays, even if empty.
Replicates present(const Replicates& values) {
  Replicates kept(values.size());
  for (std::size_t r = 0; r < values.size(); ++r) {
    std::copy_if(values[r].begin(), values[r].end(), std::back_inserter(kept[r]),
                 [](double v) { return !std::isnan(v); });
  }
  return kept;
}

bool missing(const Outcome& outcome) { return std::isnan(outcome.reference) || std::isnan(outcome.later); }

OutcomeReplicates present(const OutcomeReplicates& outcomes) {
  OutcomeReplicates kept(outcomes.size());
  for (std::size_t r = 0; r < outcomes.size(); ++r) {
    std::copy_if(outcomes[r].begin(), outcomes[r].end(), std::back_inserter(kept[r]),
                 [](const Outcome& o) { return !missing(o); });
  }
  return kept;
}

template <typename... Groups>
std::vector<std::vector<std::size_t>> sizes(const Groups&... groups) {
  std::vector<std::vector<std::size_t>> rows;
  const std::size_t replicates = std::max({groups.size()...});
  for (std::size_t r = 0; r < replicates; ++r) rows.push_back({groups[r].size()...});
  return rows;
}

double mean_of(const Replicates& values, const Resample& resample, std::size_t group) {
  double sum = 0;
  std::size_t n = 0;
  for (const auto& one : resample) {
    for (const auto row : one.rows[group]) sum += values[one.replicate][row];
    n += one.rows[group].size();
  }
  return n == 0 ? kNaN : sum / static_cast<double>(n);
}

struct Counts {
  std::int64_t reference = 0;
  std::int64_t later = 0;
  std::int64_t both = 0;
  void add(const Outcome& outcome) {
    const bool r = outcome.reference != 0;
    const bool t = outcome.later != 0;
    reference += r;
    later += t;
    both += r && t;
  }
  double retention() const {
    return reference == 0 ? kNaN : static_cast<double>(both) / static_cast<double>(reference);
  }
  double net_ratio() const {
    return reference == 0 ? kNaN : static_cast<double>(later) / static_cast<double>(reference);
  }
};

Counts count(const OutcomeReplicates& outcomes, const Resample& resample) {
  Counts counts;
  for (const auto& one : resample) {
    for (const auto row : one.rows[0]) counts.add(outcomes[one.replicate][row]);
  }
  return counts;
}

void check_same_replicates(std::size_t a, std::size_t b) {
  if (a != b)
    fail(ErrorCode::kInvalidArgument, "a contrast of ", a, " replicates with ", b, ": expected the same ones");
}

// Every row once.
Resample identity(const std::vector<std::vector<std::size_t>>& rows, const std::vector<std::size_t>& replicates) {
  Resample all;
  for (const auto r : replicates) {
    ResampledReplicate one{r, {}};
    for (const auto size : rows[r]) {
      auto& list = one.rows.emplace_back(size);
      for (std::size_t i = 0; i < size; ++i) list[i] = i;
    }
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace

Interval bootstrap_interval(const std::vector<std::vector<std::size_t>>& rows,
                            const std::function<double(const Resample&)>& statistic, const BootstrapOptions& options) {
  if (options.resamples < 1 || !(options.confidence > 0 && options.confidence < 1)) {
    fail(ErrorCode::kInvalidArgument, "a bootstrap of ", options.resamples, " resamples at confidence ",
         options.confidence, ": expected at least 1, and a number between 0 and 1");
  }
  Interval interval;
  std::vector<std::size_t> used;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::size_t total = 0;
    for (const auto size : rows[r]) total += size;
    if (total > 0) used.push_back(r);
    interval.facts += static_cast<std::int64_t>(total);
  }
  interval.replicates = static_cast<std::int64_t>(used.size());
  interval.facts_only = used.size() == 1;
  interval.estimate = interval.low = interval.high = kNaN;
  if (used.empty()) return interval;

  Resample resample = identity(rows, used);
  interval.estimate = statistic(resample);
  if (std::isnan(interval.estimate)) return interval;

  Rng rng(options.seed, options.stream);
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(options.resamples));
  for (int i = 0; i < options.resamples; ++i) {
    for (auto& one : resample) {
      one.replicate = used[used.size() == 1 ? 0 : static_cast<std::size_t>(rng.below(used.size()))];
      one.rows.resize(rows[one.replicate].size());
      for (std::size_t g = 0; g < one.rows.size(); ++g) {
        const auto size = rows[one.replicate][g];
        one.rows[g].resize(size);
        for (auto& row : one.rows[g]) row = static_cast<std::size_t>(rng.below(size));
      }
    }
    const double value = statistic(resample);
    if (std::isnan(value)) {
      ++interval.undefined;
    } else {
      values.push_back(value);
    }
  }
  if (values.empty()) return interval;
  std::sort(values.begin(), values.end());
  const double tail = (1.0 - options.confidence) / 2;
  interval.low = quantile(values, tail);
  interval.high = quantile(values, 1.0 - tail);
  return interval;
}

Interval mean_interval(const Replicates& values, const BootstrapOptions& options) {
  const auto kept = present(values);
  return bootstrap_interval(sizes(kept), [&](const Resample& resample) { return mean_of(kept, resample, 0); }, options);
}

Interval mean_difference_interval(const Replicates& a, const Replicates& b, const BootstrapOptions& options) {
  check_same_replicates(a.size(), b.size());
  const auto kept_a = present(a);
  const auto kept_b = present(b);
  return bootstrap_interval(
      sizes(kept_a, kept_b),
      [&](const Resample& resample) { return mean_of(kept_a, resample, 0) - mean_of(kept_b, resample, 1); }, options);
}

Interval retention_interval(const OutcomeReplicates& outcomes, const BootstrapOptions& options) {
  const auto kept = present(outcomes);
  return bootstrap_interval(
      sizes(kept), [&](const Resample& resample) { return count(kept, resample).retention(); }, options);
}

Interval net_ratio_interval(const OutcomeReplicates& outcomes, const BootstrapOptions& options) {
  const auto kept = present(outcomes);
  return bootstrap_interval(
      sizes(kept), [&](const Resample& resample) { return count(kept, resample).net_ratio(); }, options);
}

}  // namespace palimpsest::experiment
