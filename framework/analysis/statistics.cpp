// Tests, detectable differences, curves, scores and sentences; the intervals are in statistics_bootstrap.cpp, what is
// special to roles in statistics_roles.cpp.
#include "analysis/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/rng.hpp"
#include "base/text.hpp"

namespace palimpsest::analysis {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kLargestExact = 16;

std::string signed_text(double value) {
  const std::string text = number_text("%+.2f", value);
  // "-0.00" says less than it seems to.
  return text == "-0.00" ? "+0.00" : text;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? kNaN : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void Mean::add(double one) {
  if (std::isnan(one)) return;
  sum += one;
  ++n;
}

void Mean::add(const Mean& other) {
  sum += other.sum;
  n += other.n;
}

double Mean::value() const { return n == 0 ? kNaN : sum / static_cast<double>(n); }

void Tally::add(double at_reference, double at_later) {
  if (std::isnan(at_reference) || std::isnan(at_later)) return;
  ++rows;
  held += at_reference != 0;
  later += at_later != 0;
  both += at_reference != 0 && at_later != 0;
}

void Tally::add(const Tally& other) {
  rows += other.rows;
  held += other.held;
  later += other.later;
  both += other.both;
}

double Tally::retention() const { return share(both, held); }
double Tally::net_ratio() const { return share(later, held); }

Tally total_of(const OutcomeReplicates& outcomes) {
  Tally total;
  for (const auto& replicate : outcomes) {
    for (const auto& fact : replicate) total.add(fact);
  }
  return total;
}

PermutationResult sign_flip_test(const std::vector<double>& differences, std::uint64_t seed, int draws) {
  if (draws < 1) fail(ErrorCode::kInvalidArgument, "a permutation test with ", draws, " draws: expected at least 1");
  std::vector<double> values;
  std::copy_if(differences.begin(), differences.end(), std::back_inserter(values),
               [](double v) { return !std::isnan(v); });
  PermutationResult result;
  result.n = static_cast<std::int64_t>(values.size());
  result.p = kNaN;
  if (values.empty()) return result;
  double observed = 0;
  double scale = 0;
  for (const double v : values) {
    observed += v;
    scale += std::fabs(v);
  }
  // The same set summed in another order must count as equally extreme.
  const double threshold = std::fabs(observed) - 1e-12 * scale;
  std::int64_t extreme = 0;
  if (values.size() <= kLargestExact) {
    result.exact = true;
    result.patterns = std::int64_t{1} << values.size();
    for (std::int64_t pattern = 0; pattern < result.patterns; ++pattern) {
      double sum = 0;
      for (std::size_t i = 0; i < values.size(); ++i) sum += (pattern >> i & 1) != 0 ? -values[i] : values[i];
      extreme += std::fabs(sum) >= threshold;
    }
    result.p = static_cast<double>(extreme) / static_cast<double>(result.patterns);
    return result;
  }
  Rng rng(seed, "sign-flip");
  result.patterns = draws;
  for (int draw = 0; draw < draws; ++draw) {
    double sum = 0;
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i % 32 == 0) bits = rng();
      sum += (bits & 1u) != 0 ? -values[i] : values[i];
      bits >>= 1;
    }
    extreme += std::fabs(sum) >= threshold;
  }
  result.p = static_cast<double>(extreme + 1) / static_cast<double>(draws + 1);
  return result;
}

std::vector<double> holm_adjusted(const std::vector<double>& p) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (!std::isnan(p[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size(), kNaN);
  double running = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    running = std::max(running, static_cast<double>(order.size() - rank) * p[order[rank]]);
    adjusted[order[rank]] = std::min(1.0, running);
  }
  return adjusted;
}

double smallest_detectable_unpaired(std::int64_t n_a, std::int64_t n_b, double pooled_share) {
  if (n_a < 1 || n_b < 1 || std::isnan(pooled_share)) return kNaN;
  const double edge = 1.0 / static_cast<double>(n_a + n_b + 2);
  const double p = std::clamp(pooled_share, edge, 1.0 - edge);
  return kPowerFactor * std::sqrt(p * (1 - p) * (1.0 / static_cast<double>(n_a) + 1.0 / static_cast<double>(n_b)));
}

double smallest_detectable_paired(std::int64_t n, double discordant_share) {
  if (n < 1 || std::isnan(discordant_share)) return kNaN;
  const double d = std::clamp(discordant_share, 1.0 / static_cast<double>(n + 2), 1.0);
  return kPowerFactor * std::sqrt(d / static_cast<double>(n));
}

double curve_area(const std::vector<std::int64_t>& steps, const std::vector<double>& values) {
  if (steps.size() != values.size()) {
    fail(ErrorCode::kInvalidArgument, "a curve of ", steps.size(), " steps and ", values.size(), " values");
  }
  double area = 0;
  double first = kNaN;
  double last = kNaN;
  double height = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (i > 0 && steps[i] <= steps[i - 1]) {
      fail(ErrorCode::kInvalidArgument, "a curve's steps have to increase: ", steps[i], " comes after ", steps[i - 1]);
    }
    if (std::isnan(values[i])) continue;
    const auto at = static_cast<double>(steps[i]);
    if (std::isnan(first)) {
      first = at;
    } else {
      area += (at - last) * (values[i] + height) / 2;
    }
    last = at;
    height = values[i];
  }
  return last > first ? area / (last - first) : kNaN;
}

double harmonic_mean(const std::vector<double>& values) {
  double sum = 0;
  bool none = false;
  for (const double value : values) {
    if (std::isnan(value)) return kNaN;
    none = none || value <= 0;
    sum += 1 / value;
  }
  return none ? 0 : static_cast<double>(values.size()) / sum;
}

Verdict verdict(const Interval& difference) {
  if (std::isnan(difference.low) || std::isnan(difference.high)) return Verdict::kNotMeasured;
  if (difference.low <= 0 && difference.high >= 0) return Verdict::kNoDifference;
  if (difference.too_few) return Verdict::kTooFewFacts;
  return difference.low > 0 ? Verdict::kMore : Verdict::kLess;
}

std::string_view words_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kMore: return "more";
    case Verdict::kLess: return "less";
    case Verdict::kNoDifference: return "no detectable difference";
    case Verdict::kTooFewFacts: return "too few facts";
    case Verdict::kNotMeasured: break;
  }
  return "not measured";
}

std::string contrast_sentence(const Interval& difference, std::string_view a, std::string_view b,
                              std::string_view outcome, double smallest_detectable) {
  const auto found = verdict(difference);
  std::string text = cat(a, ": ");
  switch (found) {
    case Verdict::kMore:
    case Verdict::kLess: text += cat(words_of(found), " ", outcome, " than ", b); break;
    case Verdict::kNoDifference: text += cat(words_of(found), " in ", outcome, " from ", b); break;
    case Verdict::kTooFewFacts: text += cat(words_of(found), " to compare ", outcome, " with ", b); break;
    case Verdict::kNotMeasured: return cat(text, outcome, " against ", b, " was ", words_of(found));
  }
  // Without a spread an interval says nothing.
  const std::string interval = difference.low == difference.high ? std::string("in each resample alike")
                                                                 : cat("95 % interval ", signed_text(difference.low),
                                                                       " to ", signed_text(difference.high));
  text += cat(" (", signed_text(difference.estimate), ", ", interval, "; ", difference.facts, " facts, ",
              difference.replicates, difference.replicates == 1 ? " replicate" : " replicates");
  if (difference.facts_only) text += ": facts only";
  if (found == Verdict::kNoDifference && !std::isnan(smallest_detectable)) {
    text += cat("; a difference under ", number_text("%.2f", smallest_detectable), " would mostly go unseen");
  }
  return text + ")";
}

}  // namespace palimpsest::analysis
