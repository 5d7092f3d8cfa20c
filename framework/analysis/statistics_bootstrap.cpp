// The two-level bootstrap (docs/results-format.md, /summary) and the intervals made with it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "analysis/statistics.hpp"
#include "base/error.hpp"
#include "base/rng.hpp"

namespace palimpsest::analysis {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The quantile of sorted values by linear interpolation between order statistics (type 7 of Hyndman and Fan 1996).
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(at));
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

bool is_missing(const Mean& fact) { return fact.n == 0; }
bool is_missing(const Tally& fact) { return fact.rows == 0; }

template <typename Fact>
std::vector<Fact> present(std::vector<Fact> facts) {
  std::erase_if(facts, [](const Fact& fact) { return is_missing(fact); });
  return facts;
}

// Facts with values; a replicate's place stays, even if empty.
template <typename Fact>
std::vector<std::vector<Fact>> present(std::vector<std::vector<Fact>> replicates) {
  for (auto& facts : replicates) facts = present(std::move(facts));
  return replicates;
}

template <typename Fact>
std::vector<std::vector<std::size_t>> sizes(const std::vector<std::vector<Fact>>& replicates) {
  std::vector<std::vector<std::size_t>> rows;
  for (const auto& facts : replicates) rows.push_back({facts.size()});
  return rows;
}

template <typename Fact>
Fact total_of(const std::vector<std::vector<Fact>>& replicates, const Resample& resample) {
  Fact total;
  for (const auto& one : resample) {
    for (const auto row : one.rows[0]) total.add(replicates[one.replicate][row]);
  }
  return total;
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
  return bootstrap_interval(
      sizes(kept), [&](const Resample& resample) { return total_of(kept, resample).value(); }, options);
}

Interval all_or_none_interval(bool all, std::int64_t facts, double confidence) {
  Interval interval;
  interval.facts = facts;
  interval.estimate = all ? 1 : 0;
  interval.low = interval.high = kNaN;
  if (facts < 1) return interval;
  // The largest share of the other outcome under which so many facts alike have a chance of (1 - confidence) / 2.
  const double unseen = 1 - std::pow((1 - confidence) / 2, 1 / static_cast<double>(facts));
  interval.low = all ? 1 - unseen : 0;
  interval.high = all ? 1 : unseen;
  return interval;
}

Interval retention_interval(const OutcomeReplicates& outcomes, const BootstrapOptions& options) {
  const auto kept = present(outcomes);
  return bootstrap_interval(
      sizes(kept), [&](const Resample& resample) { return total_of(kept, resample).retention(); }, options);
}

bool varies(const OutcomeReplicates& outcomes) {
  int held = 0;
  for (const auto& replicate : outcomes) {
    for (const auto& fact : replicate) held += fact.held > 0;
  }
  return held > 1;
}

Interval shown_retention_interval(const OutcomeReplicates& outcomes, std::int64_t held_facts,
                                  const BootstrapOptions& options) {
  Interval interval = retention_interval(outcomes, options);
  const auto total = total_of(outcomes);
  if (total.held > 0 && (total.both == 0 || total.both == total.held)) {
    const auto exact = all_or_none_interval(total.both > 0, held_facts, options.confidence);
    interval.low = exact.low;
    interval.high = exact.high;
  } else if (!varies(outcomes)) {
    interval.low = interval.high = kNaN;
  }
  return interval;
}

Interval net_ratio_interval(const OutcomeReplicates& outcomes, const BootstrapOptions& options) {
  const auto kept = present(outcomes);
  return bootstrap_interval(
      sizes(kept), [&](const Resample& resample) { return total_of(kept, resample).net_ratio(); }, options);
}

}  // namespace palimpsest::analysis
