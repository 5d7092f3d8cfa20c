// The statistics of /summary and /contrasts (docs/results-format.md): intervals, tests and the sentences that follow
// from them.
//
// Pure functions on plain vectors. A missing measurement is NaN, and a row with one is left out. Random parts draw from
// a named stream of the given seed, so equal input gives equal output on every machine. Safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace palimpsest::experiment {

// One value per fact, for each replicate. Replicates may hold different facts and different numbers of them.
using Replicates = std::vector<std::vector<double>>;

// Success (not 0) or failure (0) of one fact at the reference and at the later point; NaN is missing.
struct Outcome {
  double reference = 0.0;
  double later = 0.0;
};
using OutcomeReplicates = std::vector<std::vector<Outcome>>;

struct BootstrapOptions {
  std::uint64_t seed = 0;
  std::string stream = "bootstrap";
  int resamples = 10000;
  double confidence = 0.95;
};

// An estimate with its percentile bootstrap interval. All NaN where nothing was measured.
struct Interval {
  double estimate = 0.0;
  double low = 0.0;
  double high = 0.0;
  std::int64_t facts = 0;       // rows used, over all replicates
  std::int64_t replicates = 0;  // with at least one row
  std::int64_t undefined =
      0;                    // resamples without a value (a ratio with nothing below the line), left out of the interval
  bool facts_only = false;  // one replicate: the interval says nothing about how replicates differ

  // "replicates and facts" or "facts only".
  std::string_view levels() const { return facts_only ? "facts only" : "replicates and facts"; }
};

// --- Two-level bootstrap: replicates are drawn with repetition, then the rows within each; with one replicate the rows
// only ---

// One resample: for each drawn replicate its index, and for each group of rows the drawn row indices.
struct ResampledReplicate {
  std::size_t replicate = 0;
  std::vector<std::vector<std::size_t>> rows;  // [group][position]
};
using Resample = std::vector<ResampledReplicate>;

// The interval of any statistic. `rows[replicate][group]` is the number of rows; a statistic of one sample has one
// group, of two samples measured in the same replicates two (their rows are drawn independently, their replicates
// together). NaN from `statistic` counts as undefined.
Interval bootstrap_interval(const std::vector<std::vector<std::size_t>>& rows,
                            const std::function<double(const Resample&)>& statistic, const BootstrapOptions& options);

// The mean of all values.
Interval mean_interval(const Replicates& values, const BootstrapOptions& options);
// Mean of a minus mean of b, of other facts in the same replicates (a.size() == b.size(), else
// Error(kInvalidArgument)). For the same facts give mean_interval() their differences.
Interval mean_difference_interval(const Replicates& a, const Replicates& b, const BootstrapOptions& options);

// |S_r and S_t| / |S_r|, both recounted in every resample.
Interval retention_interval(const OutcomeReplicates& outcomes, const BootstrapOptions& options);
// |S_t| / |S_r|.
Interval net_ratio_interval(const OutcomeReplicates& outcomes, const BootstrapOptions& options);

// --- Tests
// -------------------------------------------------------------------------------------------------------------------

struct PermutationResult {
  double p = 0.0;             // two-sided; NaN without differences
  std::int64_t n = 0;         // differences used
  bool exact = false;         // all 2^n sign patterns were counted
  std::int64_t patterns = 0;  // counted or drawn
};
// The paired sign-flip test of "the mean difference is 0". One difference per fact (averaged over replicates first).
// Exact for n <= 16, else `draws` seeded patterns with p = (b + 1) / (draws + 1), b the patterns at least as extreme.
PermutationResult sign_flip_test(const std::vector<double>& differences, std::uint64_t seed, int draws = 10000);

// Holm's step-down adjustment, in the order given. NaN stays NaN and does not count as a test.
std::vector<double> holm_adjusted(const std::vector<double>& p);

// --- Smallest detectable difference: 80 % power, 5 % two-sided, normal approximation
// ---------------------------------------------------------------------------

// z(0.975) + z(0.8): the smallest detectable difference is so many standard errors.
inline constexpr double kPowerFactor = 1.959963984540054 + 0.8416212335729143;
// Two proportions of independent facts: 2.8016 * sqrt(p (1 - p) (1 / n_a + 1 / n_b)), p the pooled share of successes,
// kept away from 0 and 1 by 1 / (n_a + n_b + 2). 60 against 60 facts: 0.18 at p = 0.85, 0.26 at the worst, p = 0.5. NaN
// for no facts.
double smallest_detectable_unpaired(std::int64_t n_a, std::int64_t n_b, double pooled_share);
// Two proportions of the same n facts: 2.8016 * sqrt(d / n), d the share of facts with different outcomes, at least 1 /
// (n + 2). 60 facts, d = 0.25: 0.18.
double smallest_detectable_paired(std::int64_t n, double discordant_share);

// --- Curves
// ------------------------------------------------------------------------------------------------------------------

// The area under the curve by trapezoids, divided by the range of the steps: the mean height of the curve, 1 for full
// retention throughout. Steps strictly increase (Error(kInvalidArgument) otherwise); points with NaN are left out; NaN
// for fewer than two.
double curve_area(const std::vector<std::int64_t>& steps, const std::vector<double>& values);

// When one fact is first measured as forgotten.
struct Forgetting {
  bool held = false;       // it succeeded at the reference: only such facts can be forgotten
  bool forgotten = false;  // at some measured step
  std::int64_t step = 0;   // the first such step; the last measured one where it was never forgotten
};
// `outcomes[i]` at `steps[i]`, NaN is missing; `reference` NaN counts as not held.
Forgetting first_forgetting(double reference, const std::vector<std::int64_t>& steps,
                            const std::vector<double>& outcomes);

// --- Scores
// ------------------------------------------------------------------------------------------------------------------

// The harmonic mean of shares; 0 as soon as one is 0, NaN as soon as one is missing. There is at least one.
double harmonic_mean(const std::vector<double>& values);

// --- Sentences
// ---------------------------------------------------------------------------------------------------------------

enum class Verdict { kMore, kLess, kNoDifference, kNotMeasured };
// From the interval of a difference: above 0, below 0, or neither.
Verdict verdict(const Interval& difference);
// "more", "less", "no detectable difference", "not measured".
std::string_view words_of(Verdict verdict);
// `edited facts: less retention than intrinsic facts (-0.21, 95 % interval -0.35 to -0.07; 60 facts, 3 replicates)`.
// Says "facts only" where that is so, and the smallest detectable difference, unless NaN, where no difference was
// detected.
std::string contrast_sentence(const Interval& difference, std::string_view a, std::string_view b,
                              std::string_view outcome, double smallest_detectable);

}  // namespace palimpsest::experiment
