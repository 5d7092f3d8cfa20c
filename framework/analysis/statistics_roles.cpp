// Two roles of the same facts, compared within lots (decision 0012): the interval of their difference, and its test.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "analysis/statistics.hpp"
#include "base/error.hpp"
#include "base/rng.hpp"

namespace palimpsest::analysis {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Facts of one lot by the replicates and roles that they had.
using Groups = std::vector<std::vector<const LotFact*>>;

Groups groups_of(const Lot& lot) {
  std::map<std::vector<std::pair<std::int64_t, bool>>, std::vector<const LotFact*>> by_pattern;
  for (const LotFact& fact : lot) {
    std::vector<std::pair<std::int64_t, bool>> pattern;
    for (const Played& played : fact) pattern.emplace_back(played.replicate, played.as_a);
    by_pattern[pattern].push_back(&fact);
  }
  Groups groups;
  for (const auto& [pattern, facts] : by_pattern) groups.push_back(facts);
  return groups;
}

double difference_of(const std::vector<Groups>& lots, const Resample& resample) {
  Mean a, b;
  for (const auto& one : resample) {
    for (std::size_t group = 0; group < one.rows.size(); ++group) {
      for (const auto row : one.rows[group]) {
        for (const Played& played : *lots[one.replicate][group][row]) (played.as_a ? a : b).add(played.value);
      }
    }
  }
  return a.value() - b.value();
}

// Facts of one lot that were measured in the same replicates, and the roles that they had there.
struct Pool {
  std::vector<std::vector<double>> values;  // [fact][replicate]
  std::vector<std::vector<bool>> roles;     // [fact][replicate], true: a

  // What a adds up to.
  double sum() const {
    double total = 0;
    for (std::size_t fact = 0; fact < values.size(); ++fact) {
      for (std::size_t r = 0; r < values[fact].size(); ++r) total += roles[fact][r] ? values[fact][r] : 0;
    }
    return total;
  }
  // Its mean over all deals.
  double expected_sum() const {
    double total = 0;
    for (std::size_t r = 0; r < roles.front().size(); ++r) {
      double of_a = 0, of_all = 0;
      for (std::size_t fact = 0; fact < values.size(); ++fact) {
        of_a += roles[fact][r] ? 1 : 0;
        of_all += values[fact][r];
      }
      total += of_all * of_a / static_cast<double>(values.size());
    }
    return total;
  }
  // How many different deals there are.
  double deals() const {
    std::map<std::vector<bool>, int> alike;
    double log_count = std::lgamma(static_cast<double>(roles.size()) + 1);
    for (const auto& role : roles) ++alike[role];
    for (const auto& [role, n] : alike) log_count -= std::lgamma(n + 1.0);
    return std::exp(log_count);
  }
};

std::vector<Pool> pools_of(const std::vector<Lot>& lots) {
  std::vector<Pool> pools;
  for (const Lot& lot : lots) {
    std::map<std::vector<std::int64_t>, Pool> by_replicates;
    for (const LotFact& fact : lot) {
      std::vector<std::int64_t> replicates;
      for (const Played& played : fact) replicates.push_back(played.replicate);
      Pool& pool = by_replicates[replicates];
      auto& values = pool.values.emplace_back();
      auto& roles = pool.roles.emplace_back();
      for (const Played& played : fact) {
        values.push_back(played.value);
        roles.push_back(played.as_a);
      }
    }
    for (auto& [replicates, pool] : by_replicates) pools.push_back(std::move(pool));
  }
  return pools;
}

}  // namespace

Interval mean_difference_interval(const std::vector<Lot>& lots, const BootstrapOptions& options) {
  std::vector<Groups> grouped;
  std::vector<std::vector<std::size_t>> rows;
  for (const Lot& lot : lots) {
    auto& sizes_of_lot = rows.emplace_back();
    for (const auto& group : grouped.emplace_back(groups_of(lot))) sizes_of_lot.push_back(group.size());
  }
  return bootstrap_interval(rows, [&](const Resample& resample) { return difference_of(grouped, resample); }, options);
}

RoleExchange role_exchange(const std::vector<Lot>& lots, std::uint64_t seed, int draws) {
  if (draws < 1) fail(ErrorCode::kInvalidArgument, "a permutation test with ", draws, " draws: expected at least 1");
  const auto pools = pools_of(lots);
  Mean a, all;
  double scale = 0;
  for (const Lot& lot : lots) {
    for (const LotFact& fact : lot) {
      for (const Played& played : fact) {
        all.add(played.value);
        if (played.as_a) a.add(played.value);
        scale = std::max(scale, std::fabs(played.value));
      }
    }
  }
  RoleExchange result;
  result.p = kNaN;
  if (a.n == 0 || a.n == all.n) return result;
  for (const Pool& pool : pools) result.deals *= pool.deals();

  // However roles are dealt, as many values are of a: the difference grows with their sum alone.
  double expected = 0;
  for (const Pool& pool : pools) expected += pool.expected_sum();
  const double observed = std::fabs(a.sum - expected);
  const double rounding = 1e-12 * scale * static_cast<double>(all.n);
  Rng rng(seed, "exchange-roles");
  std::int64_t extreme = 0;
  auto dealt = pools;
  for (int draw = 0; draw < draws; ++draw) {
    double sum = 0;
    for (Pool& pool : dealt) {
      rng.shuffle(pool.roles);
      sum += pool.sum();
    }
    extreme += std::fabs(sum - expected) >= observed - rounding;
  }
  result.p = static_cast<double>(extreme + 1) / static_cast<double>(draws + 1);
  return result;
}

}  // namespace palimpsest::analysis
