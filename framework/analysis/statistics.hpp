// The statistics of /summary and /contrasts (docs/results-format.md): intervals, tests and the sentences that follow
// from them.
//
// Pure functions on plain vectors. A missing measurement is NaN, and a row with one is left out. Random parts draw from
// a named stream of the given seed, so equal input gives equal output on every machine. Safe from any thread.
//
// What is drawn and counted is a fact in a replicate. It mostly has one row; in scope isolated a control has one for
// every edited model, and these say less than as many facts: they stay together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace palimpsest::analysis {

// The values of one fact.
struct Mean {
  double sum = 0.0;
  std::int64_t n = 0;

  Mean() = default;
  Mean(double value) { add(value); }
  void add(double one);
  void add(const Mean& other);
  double value() const;  // NaN for none
};
// For each replicate its facts; replicates may hold different facts and different numbers of them.
using Replicates = std::vector<std::vector<Mean>>;

// Rows of one fact: how many succeeded (not 0) at the reference, at the later point, at both.
struct Tally {
  std::int64_t rows = 0, held = 0, later = 0, both = 0;

  Tally() = default;
  Tally(double at_reference, double at_later) { add(at_reference, at_later); }
  void add(double at_reference, double at_later);
  void add(const Tally& other);
  double retention() const;  // both / held; NaN for none
  double net_ratio() const;  // later / held; NaN for none
};
using OutcomeReplicates = std::vector<std::vector<Tally>>;
Tally total_of(const OutcomeReplicates& outcomes);

// What a fact did in one replicate, in one of the two roles a and b.
struct Played {
  std::int64_t replicate = 0;
  bool as_a = false;
  double value = 0.0;
};
// A fact in all replicates of a lot in which it was measured, ascending, each once.
using LotFact = std::vector<Played>;
// A replicate, or two that exchange roles: a fact that has both roles is its own control there.
using Lot = std::vector<LotFact>;

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
  std::int64_t facts = 0;       // used, over all replicates
  std::int64_t replicates = 0;  // with at least one of them
  std::int64_t undefined = 0;   // resamples without a value (a ratio over nothing), left out of the interval
  bool facts_only = false;      // one replicate: the interval says nothing about how replicates differ
  bool too_few = false;         // facts for a difference: chance alone gives one as large with more than 5 %

  // "replicates and facts" or "facts only".
  std::string_view levels() const { return facts_only ? "facts only" : "replicates and facts"; }
};

// --- Two-level bootstrap ---
// Replicates are drawn with repetition, then the facts within each; with one replicate the facts only.

// One resample: for each drawn replicate its index, and for each group of facts ("rows") the drawn indices.
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
// Mean of a minus mean of b. A lot is drawn as a replicate is; within it facts that had the same roles in the same
// replicates are drawn among themselves, each with all its values, so that no resample has more of one replicate, or of
// one role, than there is. For the same facts in the same replicates give mean_interval() their differences.
Interval mean_difference_interval(const std::vector<Lot>& lots, const BootstrapOptions& options);
// Where all of n facts succeed, or none, no resample shows a spread; this is the exact interval of Clopper and Pearson
// (1934) there. NaN ends for no facts.
Interval all_or_none_interval(bool all, std::int64_t facts, double confidence = 0.95);

// |S_r and S_t| / |S_r|, both recounted in every resample.
Interval retention_interval(const OutcomeReplicates& outcomes, const BootstrapOptions& options);
// The same where it is to be shown: exact where all or none of `held_facts` different facts are kept; without ends
// where one fact alone held, in however many models, since resamples do not differ then.
Interval shown_retention_interval(const OutcomeReplicates& outcomes, std::int64_t held_facts,
                                  const BootstrapOptions& options);
// Whether resamples differ in what held at the reference.
bool varies(const OutcomeReplicates& outcomes);
// |S_t| / |S_r|.
Interval net_ratio_interval(const OutcomeReplicates& outcomes, const BootstrapOptions& options);

// --- Tests ---

struct PermutationResult {
  double p = 0.0;             // two-sided; NaN without differences
  std::int64_t n = 0;         // differences used
  bool exact = false;         // all 2^n sign patterns were counted
  std::int64_t patterns = 0;  // counted or drawn
};
// The paired sign-flip test of "the mean difference is 0". One difference per fact (averaged over replicates first).
// Exact for n <= 16, else `draws` seeded patterns with p = (b + 1) / (draws + 1), b the patterns at least as extreme.
PermutationResult sign_flip_test(const std::vector<double>& differences, std::uint64_t seed, int draws = 10000);

struct RoleExchange {
  double p = 0.0;      // two-sided; NaN without facts of both roles
  double deals = 1.0;  // different ones; of fewer than kFewestDeals none can be told from chance
};
// "A fact's role makes no difference" to mean a - mean b: within a lot facts that were measured in the same replicates
// are dealt each other's roles, as the design dealt them. Extreme is what lies as far from the mean of all deals as
// what was seen. `draws` seeded deals, p = (b + 1) / (draws + 1).
RoleExchange role_exchange(const std::vector<Lot>& lots, std::uint64_t seed, int draws = 10000);
// 2 of them are the most extreme on both sides: p = 0.05.
inline constexpr double kFewestDeals = 40;

// Holm's step-down adjustment, in the order given. NaN stays NaN and does not count as a test.
std::vector<double> holm_adjusted(const std::vector<double>& p);

// --- Smallest detectable difference: 80 % power, 5 % two-sided, normal approximation ---

// z(0.975) + z(0.8): the smallest detectable difference is so many standard errors.
inline constexpr double kPowerFactor = 1.959963984540054 + 0.8416212335729143;
// Two proportions of independent facts: 2.8016 * sqrt(p (1 - p) (1 / n_a + 1 / n_b)), p the pooled share of successes,
// kept away from 0 and 1 by 1 / (n_a + n_b + 2). 60 against 60 facts: 0.18 at p = 0.85, 0.26 at the worst, p = 0.5. NaN
// for no facts.
double smallest_detectable_unpaired(std::int64_t n_a, std::int64_t n_b, double pooled_share);
// Two proportions of the same n facts: 2.8016 * sqrt(d / n), d the share of facts with different outcomes, at least 1 /
// (n + 2). 60 facts, d = 0.25: 0.18.
double smallest_detectable_paired(std::int64_t n, double discordant_share);

// --- Curves ---

// The area under the curve by trapezoids, divided by the range of the steps: the mean height of the curve, 1 for full
// retention throughout. Steps strictly increase (Error(kInvalidArgument) otherwise); points with NaN are left out; NaN
// for fewer than two.
double curve_area(const std::vector<std::int64_t>& steps, const std::vector<double>& values);

// --- Scores ---

// The harmonic mean of shares; 0 as soon as one is 0, NaN as soon as one is missing. There is at least one.
double harmonic_mean(const std::vector<double>& values);

// --- Sentences ---

enum class Verdict { kMore, kLess, kNoDifference, kTooFewFacts, kNotMeasured };
// From the interval of a difference: above 0, below 0, or neither; above or below says nothing of too few facts.
Verdict verdict(const Interval& difference);
// With so many differences of one sign a sign-flip test reaches p < 0.05, with fewer it cannot.
inline constexpr std::int64_t kFewestFacts = 6;
// "more", "less", "no detectable difference", "too few facts", "not measured".
std::string_view words_of(Verdict verdict);
// `edited facts: less retention than intrinsic facts (-0.21, 95 % interval -0.35 to -0.07; 60 facts, 3 replicates)`.
// Says "facts only" where that is so, and the smallest detectable difference, unless NaN, where no difference was
// detected.
std::string contrast_sentence(const Interval& difference, std::string_view a, std::string_view b,
                              std::string_view outcome, double smallest_detectable);

}  // namespace palimpsest::analysis
