#include "analysis/contrasts_compare.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace palimpsest::analysis {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using ByFact = std::map<std::string, Mean>;

// A fact's values over its edits (scope isolated), so that a fact counts once in a replicate.
ByFact by_fact(const Series::Values& values) {
  ByFact facts;
  for (const auto& [unit, value] : values) facts[unit.fact].add(value);
  std::erase_if(facts, [](const auto& fact) { return fact.second.n == 0; });
  return facts;
}

// The rows of `values` that `other` has too, both with a value.
Series::Values shared_rows(const Series::Values& values, const Series::Values& other) {
  Series::Values shared;
  for (const auto& [unit, value] : values) {
    const auto found = other.find(unit);
    if (found != other.end() && !std::isnan(value) && !std::isnan(found->second)) shared[unit] = value;
  }
  return shared;
}

// Whether these were measured in one model, not in one for each edit.
bool in_one_model(const Series::Values& values) {
  return std::all_of(values.begin(), values.end(), [](const auto& row) { return row.first.edit.empty(); });
}

// The facts of two roles, gathered replicate by replicate.
struct Roles {
  struct Role {
    std::vector<double> values;
    std::set<std::string> facts;
  };
  Role a, b;
  std::int64_t replicates = 0;

  void add(std::int64_t lot, std::int64_t replicate, const ByFact& of_a, const ByFact& of_b) {
    replicates += !of_a.empty() || !of_b.empty();
    for (const bool as_a : {true, false}) {
      Role& role = as_a ? a : b;
      for (const auto& [fact, mean] : as_a ? of_a : of_b) {
        by_lot_[lot][fact].push_back({replicate, as_a, mean.value()});
        role.values.push_back(mean.value());
        role.facts.insert(fact);
      }
    }
  }

  std::vector<Lot> lots() const {
    std::vector<Lot> lots;
    for (const auto& [number, facts] : by_lot_) {
      Lot& lot = lots.emplace_back();
      for (const auto& [fact, played] : facts) lot.push_back(played);
    }
    return lots;
  }

 private:
  std::map<std::int64_t, std::map<std::string, LotFact>> by_lot_;
};

double variance(const std::vector<double>& values) {
  if (values.size() < 2) return kNaN;
  const double middle = mean_of(values);
  double sum = 0;
  for (const double value : values) sum += (value - middle) * (value - middle);
  return sum / static_cast<double>(values.size() - 1);
}

void drop_certainty(Interval& interval, std::size_t rows) {
  // One value has no spread to tell anything from.
  if (rows < 2) interval.low = interval.high = kNaN;
}

}  // namespace

double mean_of(const std::vector<double>& values) {
  Mean mean;
  for (const double value : values) mean.add(value);
  return mean.value();
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
  std::map<std::string, Mean> per_fact;
  double discordant = 0;
  for (const auto& [replicate, values_a] : a.rows) {
    const auto found = b.rows.find(replicate);
    if (found == b.rows.end()) continue;
    const auto& values_b = found->second;
    const bool alike = in_one_model(values_a) == in_one_model(values_b);
    const auto facts_a = by_fact(alike ? shared_rows(values_a, values_b) : values_a);
    const auto facts_b = by_fact(alike ? shared_rows(values_b, values_a) : values_b);
    auto& list = differences.emplace_back();
    for (const auto& [fact, mean_a] : facts_a) {
      const auto other = facts_b.find(fact);
      if (other == facts_b.end()) continue;
      const double difference = mean_a.value() - other->second.value();
      list.emplace_back(difference);
      all_a.push_back(mean_a.value());
      all_b.push_back(other->second.value());
      per_fact[fact].add(difference);
      discordant += std::fabs(difference);
    }
  }
  std::vector<double> means;
  for (const auto& [fact, mean] : per_fact) means.push_back(mean.value());
  const auto n = static_cast<std::int64_t>(means.size());
  out.facts_a = out.facts_b = n;
  out.value_a = mean_of(all_a);
  out.value_b = mean_of(all_b);
  out.difference = mean_interval(differences, {options.seed, "contrasts", options.contrast_resamples, 0.95});
  drop_certainty(out.difference, all_a.size());
  out.difference.facts = n;
  out.difference.too_few = n < kFewestFacts;
  out.p = sign_flip_test(means, options.seed, options.permutations).p;
  if (n > 0) {
    out.detectable = retention ? smallest_detectable_paired(n, discordant / static_cast<double>(all_a.size()))
                               : kPowerFactor * std::sqrt(variance(means) / static_cast<double>(n));
  }
  return out;
}

Compared compare_roles(const AtPoint& a, const AtPoint& b, const Lots& lots, bool retention,
                       const SummaryOptions& options) {
  Roles roles;
  for (const auto& [replicate, rows] : a.rows) {
    const auto found = b.rows.find(replicate);
    if (found != b.rows.end()) roles.add(lots.at(replicate), replicate, by_fact(rows), by_fact(found->second));
  }
  const auto drawn = roles.lots();
  const auto& [all_a, facts_a] = roles.a;
  const auto& [all_b, facts_b] = roles.b;
  std::set<std::string> facts = facts_a;
  facts.insert(facts_b.begin(), facts_b.end());

  Compared out;
  out.facts_a = static_cast<std::int64_t>(facts_a.size());
  out.facts_b = static_cast<std::int64_t>(facts_b.size());
  out.value_a = mean_of(all_a);
  out.value_b = mean_of(all_b);
  out.difference = mean_difference_interval(drawn, {options.seed, "contrasts", options.contrast_resamples, 0.95});
  drop_certainty(out.difference, std::min(all_a.size(), all_b.size()));
  out.difference.facts = static_cast<std::int64_t>(facts.size());
  out.difference.replicates = roles.replicates;
  const auto exchange = role_exchange(drawn, options.seed, options.permutations);
  out.difference.too_few = exchange.deals < kFewestDeals;
  out.p = exchange.p;
  if (all_a.empty() || all_b.empty()) return out;
  const auto n_a = static_cast<double>(all_a.size());
  const auto n_b = static_cast<double>(all_b.size());
  out.detectable = retention ? smallest_detectable_unpaired(out.facts_a, out.facts_b,
                                                            (n_a * out.value_a + n_b * out.value_b) / (n_a + n_b))
                             : kPowerFactor * std::sqrt(variance(all_a) / n_a + variance(all_b) / n_b);
  return out;
}

}  // namespace palimpsest::analysis
