#include "experiment/contrasts_compare.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/rng.hpp"

namespace palimpsest::experiment {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using ByFact = std::map<std::string, double>;

// A fact's mean over its edits (scope isolated), so that a fact counts once in a replicate.
ByFact by_fact(const Series::Values& values) {
  std::map<std::string, std::pair<double, std::int64_t>> sums;
  for (const auto& [unit, value] : values) {
    if (std::isnan(value)) continue;
    auto& [sum, n] = sums[unit.fact];
    sum += value;
    ++n;
  }
  ByFact out;
  for (const auto& [fact, sum] : sums) out[fact] = sum.first / static_cast<double>(sum.second);
  return out;
}

double variance(const std::vector<double>& values) {
  if (values.size() < 2) return kNaN;
  const double middle = mean_of(values);
  double sum = 0;
  for (const double value : values) sum += (value - middle) * (value - middle);
  return sum / static_cast<double>(values.size() - 1);
}

void drop_certainty(Interval& interval, std::int64_t rows) {
  // One value has no spread to tell anything from.
  if (rows < 2) interval.low = interval.high = kNaN;
}

double pooled_mean(const Replicates& values) {
  std::vector<double> all;
  for (const auto& replicate : values) all.insert(all.end(), replicate.begin(), replicate.end());
  return mean_of(all);
}

// Two-sided p of "which facts are edited makes no difference": roles are exchanged by lot within each replicate.
double role_permutation_p(const Replicates& a, const Replicates& b, const SummaryOptions& options) {
  const double observed = std::fabs(pooled_mean(a) - pooled_mean(b));
  if (std::isnan(observed)) return kNaN;
  Replicates pools(a.size());
  double total = 0;
  double scale = 0;
  std::size_t n_a = 0;
  std::size_t n_b = 0;
  for (std::size_t r = 0; r < a.size(); ++r) {
    pools[r] = a[r];
    pools[r].insert(pools[r].end(), b[r].begin(), b[r].end());
    for (const double value : pools[r]) {
      total += value;
      scale = std::max(scale, std::fabs(value));
    }
    n_a += a[r].size();
    n_b += b[r].size();
  }
  Rng rng(options.seed, "exchange-roles");
  std::int64_t extreme = 0;
  for (int draw = 0; draw < options.permutations; ++draw) {
    double sum = 0;
    for (std::size_t r = 0; r < a.size(); ++r) {
      rng.shuffle(pools[r]);
      for (std::size_t i = 0; i < a[r].size(); ++i) sum += pools[r][i];
    }
    const double difference = sum / static_cast<double>(n_a) - (total - sum) / static_cast<double>(n_b);
    extreme += std::fabs(difference) >= observed - 1e-12 * scale;
  }
  return static_cast<double>(extreme + 1) / static_cast<double>(options.permutations + 1);
}

}  // namespace

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? kNaN : sum / static_cast<double>(values.size());
}

AtPoint at_point(const Series& series, const Point& point, bool retention, std::string_view baseline) {
  AtPoint out;
  const auto reference = reference_of(series, point, baseline);
  if (!reference) return out;
  out.stage = point.stage;
  out.step = series.last_step.at(point);
  out.baseline = reference->stage;
  const auto& before = *series.at(*reference);
  for (const auto& [replicate, values] : *series.at(point)) {
    const auto found = before.find(replicate);
    if (found == before.end()) continue;
    for (const auto& [unit, value] : values) {
      const double start = reference_value(found->second, unit);
      double outcome = value - start;
      if (retention) outcome = std::isnan(outcome) || start == 0 ? kNaN : (value != 0 ? 1.0 : 0.0);
      out.rows[replicate][unit] = outcome;
    }
  }
  return out;
}

Compared compare_paired(const AtPoint& a, const AtPoint& b, bool retention, const SummaryOptions& options) {
  Compared out;
  Replicates differences;
  std::vector<double> all_a;
  std::vector<double> all_b;
  std::map<std::string, std::pair<double, std::int64_t>> facts;
  double discordant = 0;
  std::int64_t rows = 0;
  for (const auto& [replicate, values_a] : a.rows) {
    const auto found = b.rows.find(replicate);
    if (found == b.rows.end()) continue;
    Series::Values kept_a;
    Series::Values kept_b;
    for (const auto& [unit, value] : values_a) {
      const auto other = found->second.find(unit);
      if (other == found->second.end() || std::isnan(value) || std::isnan(other->second)) continue;
      kept_a[unit] = value;
      kept_b[unit] = other->second;
    }
    const auto facts_a = by_fact(kept_a);
    const auto facts_b = by_fact(kept_b);
    auto& list = differences.emplace_back();
    for (const auto& [fact, value] : facts_a) {
      const double other = facts_b.at(fact);
      list.push_back(value - other);
      all_a.push_back(value);
      all_b.push_back(other);
      auto& [sum, n] = facts[fact];
      sum += value - other;
      ++n;
      discordant += std::fabs(value - other);
      ++rows;
    }
  }
  std::vector<double> per_fact;
  for (const auto& [fact, sum] : facts) per_fact.push_back(sum.first / static_cast<double>(sum.second));
  const auto n = static_cast<std::int64_t>(per_fact.size());
  out.facts_a = out.facts_b = n;
  out.value_a = mean_of(all_a);
  out.value_b = mean_of(all_b);
  out.difference = mean_interval(differences, {options.seed, "contrasts", options.contrast_resamples, 0.95});
  drop_certainty(out.difference, rows);
  out.difference.facts = n;
  out.p = sign_flip_test(per_fact, options.seed, options.permutations).p;
  if (n > 0) {
    out.detectable = retention ? smallest_detectable_paired(n, discordant / static_cast<double>(rows))
                               : kPowerFactor * std::sqrt(variance(per_fact) / static_cast<double>(n));
  }
  return out;
}

Compared compare_unpaired(const AtPoint& a, const AtPoint& b, bool retention, const SummaryOptions& options) {
  Compared out;
  Replicates values_a;
  Replicates values_b;
  std::vector<double> all_a;
  std::vector<double> all_b;
  std::set<std::string> facts_a;
  std::set<std::string> facts_b;
  const auto collect = [](const Series::Values& rows, Replicates& values, std::vector<double>& all,
                          std::set<std::string>& facts) {
    auto& list = values.emplace_back();
    for (const auto& [fact, value] : by_fact(rows)) {
      list.push_back(value);
      all.push_back(value);
      facts.insert(fact);
    }
  };
  for (const auto& [replicate, rows] : a.rows) {
    const auto found = b.rows.find(replicate);
    if (found == b.rows.end()) continue;
    collect(rows, values_a, all_a, facts_a);
    collect(found->second, values_b, all_b, facts_b);
  }
  out.facts_a = static_cast<std::int64_t>(facts_a.size());
  out.facts_b = static_cast<std::int64_t>(facts_b.size());
  out.value_a = mean_of(all_a);
  out.value_b = mean_of(all_b);
  out.difference =
      mean_difference_interval(values_a, values_b, {options.seed, "contrasts", options.contrast_resamples, 0.95});
  drop_certainty(out.difference, static_cast<std::int64_t>(std::min(all_a.size(), all_b.size())));
  std::set<std::string> facts = facts_a;
  facts.insert(facts_b.begin(), facts_b.end());
  out.difference.facts = static_cast<std::int64_t>(facts.size());
  out.p = role_permutation_p(values_a, values_b, options);
  if (all_a.empty() || all_b.empty()) return out;
  const auto n_a = static_cast<double>(all_a.size());
  const auto n_b = static_cast<double>(all_b.size());
  out.detectable = retention ? smallest_detectable_unpaired(out.facts_a, out.facts_b,
                                                            (n_a * out.value_a + n_b * out.value_b) / (n_a + n_b))
                             : kPowerFactor * std::sqrt(variance(all_a) / n_a + variance(all_b) / n_b);
  return out;
}

}  // namespace palimpsest::experiment
