// Against statistics_reference.json, which statistics_reference.py computes with numpy, and against closed forms.
#include "analysis/statistics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/files.hpp"

namespace palimpsest::analysis {
namespace {

using ::testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
const BootstrapOptions kOptions{3, "test", 20000, 0.95};
// Of a percentile of 20,000 resamples against another generator's 100,000, on data whose interval is about 0.5 wide.
constexpr double kNoise = 0.02;

const nlohmann::json& reference() {
  static const auto json = nlohmann::json::parse(read_file(PALIMPSEST_TEST_DATA "/analysis/statistics_reference.json"));
  return json;
}

OutcomeReplicates outcomes_of(const char* name) {
  OutcomeReplicates outcomes;
  for (const auto& replicate : reference().at(name)) {
    auto& list = outcomes.emplace_back();
    for (const auto& row : replicate) list.push_back({row.at(0).get<double>(), row.at(1).get<double>()});
  }
  return outcomes;
}

Replicates replicates_of(const nlohmann::json& values) {
  Replicates replicates;
  for (const auto& replicate : values) {
    auto& list = replicates.emplace_back();
    for (const auto& value : replicate) list.emplace_back(value.get<double>());
  }
  return replicates;
}

void expect_like(const Interval& interval, const char* name) {
  const auto& expected = reference().at(name);
  EXPECT_NEAR(interval.estimate, expected.at("estimate").get<double>(), 1e-12);
  EXPECT_NEAR(interval.low, expected.at("low").get<double>(), kNoise);
  EXPECT_NEAR(interval.high, expected.at("high").get<double>(), kNoise);
}

TEST(Bootstrap, MeansAgreeWithNumpy) {
  const auto values = replicates_of(reference().at("margins"));
  const auto interval = mean_interval(values, kOptions);
  expect_like(interval, "mean");
  EXPECT_EQ(interval.facts, 39);
  EXPECT_EQ(interval.replicates, 3);
  EXPECT_EQ(interval.levels(), "replicates and facts");
  const auto alone = mean_interval({values[0]}, kOptions);
  expect_like(alone, "mean_facts_only");
  EXPECT_EQ(alone.levels(), "facts only");
}

TEST(Bootstrap, RatiosAgreeWithNumpy) {
  const auto outcomes = outcomes_of("outcomes");
  expect_like(retention_interval(outcomes, kOptions), "retention");
  expect_like(net_ratio_interval(outcomes, kOptions), "net_ratio");
}

TEST(Bootstrap, DifferencesOfMeansAgreeWithNumpy) {
  const auto a = outcomes_of("outcomes");
  const auto b = outcomes_of("others");
  std::vector<Lot> lots(a.size());
  for (std::size_t r = 0; r < lots.size(); ++r) {
    const auto replicate = static_cast<std::int64_t>(r);
    for (const auto& fact : a[r]) lots[r].push_back({{replicate, true, static_cast<double>(fact.later)}});
    for (const auto& fact : b[r]) lots[r].push_back({{replicate, false, static_cast<double>(fact.later)}});
  }
  const auto interval = mean_difference_interval(lots, kOptions);
  expect_like(interval, "mean_difference");
  EXPECT_EQ(interval.facts, 135);
  EXPECT_EQ(interval.replicates, 3);
}

TEST(Bootstrap, FactsOnlyOfOnesAndZerosIsTheBinomial) {
  // The mean of a resample of 40 rows with 20 ones is Binomial(40, 1/2) / 40; its 2.5 % and 97.5 % points are 14
  // and 26.
  std::vector<Mean> values(40, Mean(0.0));
  std::fill_n(values.begin(), 20, Mean(1.0));
  const auto interval = mean_interval({values}, kOptions);
  EXPECT_DOUBLE_EQ(interval.estimate, 0.5);
  EXPECT_DOUBLE_EQ(interval.low, 14 / 40.0);
  EXPECT_DOUBLE_EQ(interval.high, 26 / 40.0);
}

TEST(Bootstrap, ReplicatesThatDifferWidenTheInterval) {
  // Within a replicate all facts are equal: only the first level can give a width.
  const auto interval = mean_interval({{0, 0, 0, 0}, {1, 1, 1, 1}}, kOptions);
  EXPECT_EQ(interval.low, 0.0);
  EXPECT_EQ(interval.high, 1.0);
  EXPECT_EQ(interval.estimate, 0.5);
}

TEST(Bootstrap, SameSeedSameNumbersOtherSeedOthers) {
  const auto values = replicates_of(reference().at("margins"));
  const auto one = mean_interval(values, kOptions);
  EXPECT_EQ(one.low, mean_interval(values, kOptions).low);
  auto other = kOptions;
  other.seed = 4;
  EXPECT_NE(one.low, mean_interval(values, other).low);
}

TEST(Bootstrap, MissingRowsAreLeftOut) {
  const auto with = mean_interval({{1, kNaN, 0, 1}, {kNaN, kNaN}}, kOptions);
  const auto without = mean_interval({{1, 0, 1}}, kOptions);
  EXPECT_EQ(with.estimate, without.estimate);
  EXPECT_EQ(with.low, without.low);
  EXPECT_EQ(with.facts, 3);
  EXPECT_EQ(with.replicates, 1);
  EXPECT_TRUE(with.facts_only);
  const auto ratio = retention_interval({{{1, 1}, {1, kNaN}, {kNaN, 1}, {1, 0}}}, kOptions);
  EXPECT_EQ(ratio.estimate, 0.5);
  EXPECT_EQ(ratio.facts, 2);
  for (const auto& nothing :
       {mean_interval({}, kOptions), mean_interval({{kNaN}}, kOptions), retention_interval({{{0, 1}}}, kOptions)}) {
    EXPECT_TRUE(std::isnan(nothing.estimate) && std::isnan(nothing.low) && std::isnan(nothing.high));
  }
}

TEST(Bootstrap, RatiosByHand) {
  const OutcomeReplicates outcomes{{{1, 1}, {1, 0}, {0, 1}}, {{1, 1}, {0, 0}, {1, 1}}};
  EXPECT_EQ(retention_interval(outcomes, kOptions).estimate, 3.0 / 4);
  EXPECT_EQ(net_ratio_interval(outcomes, kOptions).estimate, 4.0 / 4);
  // One fact of two held: a quarter of the resamples hold none and have no ratio.
  const auto thin = retention_interval({{{1, 1}, {0, 1}}}, kOptions);
  EXPECT_NEAR(static_cast<double>(thin.undefined) / kOptions.resamples, 0.25, 0.015);
  EXPECT_EQ(thin.low, 1.0);
}

TEST(Bootstrap, DifferencesByHand) {
  const Lot lot{{{0, true, 3}}, {{0, true, 4}}, {{0, false, 1}}};
  const auto means = mean_difference_interval({lot}, kOptions);
  EXPECT_EQ(means.estimate, 2.5);
  EXPECT_EQ(means.low, 2.0);
  EXPECT_EQ(means.high, 3.0);
  EXPECT_TRUE(std::isnan(mean_difference_interval({Lot{{{0, true, 3}}, {{0, true, 4}}}}, kOptions).estimate));
}

// A fact that was measured in two models says less than two facts.
TEST(Bootstrap, RowsOfOneFactAreDrawnTogether) {
  Mean twice_nothing;
  Mean twice_one;
  for (int model = 0; model < 2; ++model) {
    twice_nothing.add(0);
    twice_one.add(1);
  }
  const auto two_facts = mean_interval({{twice_nothing, twice_one}}, kOptions);
  EXPECT_EQ(two_facts.estimate, 0.5);
  EXPECT_EQ(two_facts.low, 0.0) << "a quarter of the resamples hold the first one alone";
  EXPECT_EQ(two_facts.high, 1.0);
  EXPECT_EQ(two_facts.facts, 2);

  Tally kept;
  Tally lost;
  for (int model = 0; model < 50; ++model) {
    kept.add(1, 1);
    lost.add(1, 0);
  }
  const auto retention = retention_interval({{kept, kept, kept, lost, lost}}, kOptions);
  EXPECT_DOUBLE_EQ(retention.estimate, 0.6);
  // Of five facts, however many models: the 2.5 % and 97.5 % points of Binomial(5, 0.6) / 5.
  EXPECT_DOUBLE_EQ(retention.low, 0.2);
  EXPECT_DOUBLE_EQ(retention.high, 1.0);
}

// Edited in one replicate of its lot and intrinsic in the other.
LotFact exchanged(bool edited_first, double as_edited, double as_intrinsic) {
  if (edited_first) return {{0, true, as_edited}, {1, false, as_intrinsic}};
  return {{0, false, as_intrinsic}, {1, true, as_edited}};
}

// What a fact does whatever its role cancels where it had both.
TEST(Roles, AnExchangedFactIsItsOwnControl) {
  const std::vector<double> values{0, 0, 1, 1, 2, 5};
  Lot lot;
  Lot apart;
  for (std::size_t i = 0; i < values.size(); ++i) {
    lot.push_back(exchanged(i % 2 == 0, values[i] - 0.5, values[i]));
    apart.push_back({{0, true, values[i] - 0.5}});
    apart.push_back({{0, false, values[i]}});
  }
  const auto own = mean_difference_interval({lot}, kOptions);
  EXPECT_DOUBLE_EQ(own.estimate, -0.5);
  EXPECT_DOUBLE_EQ(own.low, -0.5);
  EXPECT_DOUBLE_EQ(own.high, -0.5);
  EXPECT_EQ(own.facts, 6);
  const auto others = mean_difference_interval({apart}, kOptions);
  EXPECT_DOUBLE_EQ(others.estimate, -0.5);
  EXPECT_GT(others.high, 0.5);
  EXPECT_GT(role_exchange({apart}, 1).p, 0.4);
}

// The edited and the intrinsic facts of a replicate share its model, so what one model does as a whole cancels.
TEST(Roles, WhatAModelDoesToAllItsFactsIsNoDifferenceOfRoles) {
  Lot lot;
  // The first model keeps everything, the second nothing.
  for (int i = 0; i < 10; ++i) lot.push_back(exchanged(true, 1, 0));
  for (int i = 0; i < 10; ++i) lot.push_back(exchanged(false, 0, 1));
  const auto interval = mean_difference_interval({lot}, kOptions);
  EXPECT_EQ(interval.low, 0);
  EXPECT_EQ(interval.high, 0);
  EXPECT_EQ(role_exchange({lot}, 1).p, 1);
}

TEST(Roles, TheDealsAreThoseOfTheDesign) {
  // Three facts edited first and three second, each kept while it is edited: of the C(6, 3) = 20 deals one gives as
  // large a difference, and the one with all roles exchanged as small a one.
  Lot lot;
  for (int i = 0; i < 6; ++i) lot.push_back(exchanged(i < 3, 1, 0));
  auto found = role_exchange({lot}, 1);
  EXPECT_DOUBLE_EQ(std::round(found.deals), 20);
  EXPECT_NEAR(found.p, 2.0 / 20, 0.01);
  EXPECT_LT(found.deals, kFewestDeals);
  // Controls of the first replicate alone, which nothing was dealt to, shift all deals alike.
  for (int i = 0; i < 12; ++i) lot.push_back({{0, false, 1}});
  EXPECT_NEAR(role_exchange({lot}, 1).p, 2.0 / 20, 0.01);
  // A second lot multiplies the deals.
  EXPECT_DOUBLE_EQ(std::round(role_exchange({lot, lot}, 1).deals), 400);
  // Facts that are intrinsic in both replicates might have been dealt what the others were.
  for (int i = 0; i < 2; ++i) lot.push_back({{0, false, 1}, {1, false, 1}});
  EXPECT_DOUBLE_EQ(std::round(role_exchange({lot}, 1).deals), 560);
  EXPECT_EQ(role_exchange({lot}, 1).p, role_exchange({lot}, 1).p);
  EXPECT_TRUE(std::isnan(role_exchange({Lot{{{0, true, 3}}, {{0, true, 4}}}}, 1).p));
}

TEST(Bootstrap, WhereAllOrNoneSucceedTheIntervalIsExact) {
  // 0.95 = 1 - 0.025 * 2: five of five leave all shares above 0.025^(1/5).
  const auto all = all_or_none_interval(true, 5);
  EXPECT_EQ(all.estimate, 1);
  EXPECT_NEAR(all.low, 0.4781762498950186, 1e-12);
  EXPECT_EQ(all.high, 1);
  const auto none = all_or_none_interval(false, 5);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 1 - 0.4781762498950186, 1e-12);
  EXPECT_TRUE(std::isnan(all_or_none_interval(true, 0).low));
}

TEST(SignFlip, ExactAgreesWithEnumeration) {
  const auto result = sign_flip_test(reference().at("differences").get<std::vector<double>>(), 1);
  EXPECT_TRUE(result.exact);
  EXPECT_EQ(result.n, 12);
  EXPECT_EQ(result.patterns, 4096);
  EXPECT_DOUBLE_EQ(result.p, reference().at("sign_flip_p").get<double>());
  EXPECT_DOUBLE_EQ(sign_flip_test({1, 1, 1, kNaN, 1, 1}, 1).p, 2.0 / 32) << "all of one sign: 2 of 2^n";
  EXPECT_DOUBLE_EQ(sign_flip_test({0, 0, 0}, 1).p, 1.0);
  EXPECT_TRUE(std::isnan(sign_flip_test({kNaN}, 1).p));
  // 0.1 + 0.2 - 0.3 is not 0 in binary: sums equal on paper have to count as equal.
  EXPECT_DOUBLE_EQ(sign_flip_test({0.1, 0.2, -0.3}, 1).p, 1.0);
}

TEST(SignFlip, ManyAreDrawnAndNeverGiveZero) {
  const auto many = reference().at("many").get<std::vector<double>>();
  const auto result = sign_flip_test(many, 1);
  EXPECT_FALSE(result.exact);
  EXPECT_EQ(result.patterns, 10000);
  EXPECT_NEAR(result.p, reference().at("many_p").get<double>(), 0.015);
  EXPECT_EQ(result.p, sign_flip_test(many, 1).p);
  EXPECT_DOUBLE_EQ(sign_flip_test(std::vector<double>(40, 1.0), 1).p, 1.0 / 10001);
}

TEST(Holm, AgreesAndSkipsWhatWasNotTested) {
  const auto p = reference().at("p_values").get<std::vector<double>>();
  const auto adjusted = holm_adjusted(p);
  for (std::size_t i = 0; i < p.size(); ++i) EXPECT_DOUBLE_EQ(adjusted[i], reference().at("holm").at(i).get<double>());
  const auto with_nan = holm_adjusted({0.02, kNaN, 0.03});
  EXPECT_DOUBLE_EQ(with_nan[0], 0.04);
  EXPECT_TRUE(std::isnan(with_nan[1]));
  EXPECT_DOUBLE_EQ(with_nan[2], 0.04) << "never below a smaller p's";
  EXPECT_TRUE(holm_adjusted({}).empty());
}

TEST(SmallestDetectable, FollowsItsFormula) {
  EXPECT_NEAR(smallest_detectable_unpaired(60, 60, 0.5), reference().at("unpaired_60_60").at(0).get<double>(), 1e-9);
  EXPECT_NEAR(smallest_detectable_unpaired(60, 60, 0.85), reference().at("unpaired_60_60").at(1).get<double>(), 1e-9);
  EXPECT_NEAR(smallest_detectable_paired(60, 0.25), reference().at("paired_60").get<double>(), 1e-9);
  EXPECT_NEAR(smallest_detectable_paired(60, 0.25), 0.18, 0.005);
  EXPECT_NEAR(smallest_detectable_unpaired(60, 60, 0.85), 0.18, 0.005);
  EXPECT_GT(smallest_detectable_unpaired(60, 60, 1.0), 0.03) << "all alike is not perfect knowledge";
  EXPECT_GT(smallest_detectable_paired(60, 0.0), 0.03);
  EXPECT_TRUE(std::isnan(smallest_detectable_unpaired(0, 60, 0.5)));
  EXPECT_TRUE(std::isnan(smallest_detectable_paired(0, 0.5)));
}

TEST(Curve, AreaIsTheMeanHeight) {
  const auto steps = reference().at("steps").get<std::vector<std::int64_t>>();
  const auto values = reference().at("curve").get<std::vector<double>>();
  EXPECT_NEAR(curve_area(steps, values), reference().at("area").get<double>(), 1e-12);
  EXPECT_DOUBLE_EQ(curve_area({0, 7, 30}, {1, 1, 1}), 1.0);
  EXPECT_DOUBLE_EQ(curve_area({10, 15, 20}, {1, kNaN, 0}), 0.5);
  EXPECT_TRUE(std::isnan(curve_area({10}, {1})));
  EXPECT_THROW(curve_area({0, 0}, {1, 1}), Error);
  EXPECT_THROW(curve_area({0, 1}, {1}), Error);
}

TEST(Scores, TheHarmonicMean) {
  EXPECT_DOUBLE_EQ(harmonic_mean({1, 0.5, 0.25}), 3.0 / 7.0);
  EXPECT_DOUBLE_EQ(harmonic_mean({0.4}), 0.4);
  EXPECT_EQ(harmonic_mean({1, 0, 1}), 0);
  EXPECT_TRUE(std::isnan(harmonic_mean({1, kNaN, 0})));
}

Interval interval_of(double estimate, double low, double high) {
  Interval interval;
  interval.estimate = estimate;
  interval.low = low;
  interval.high = high;
  interval.facts = 60;
  interval.replicates = 3;
  return interval;
}

TEST(Sentences, FollowFromTheInterval) {
  EXPECT_EQ(contrast_sentence(interval_of(-0.21, -0.35, -0.07), "edited facts", "intrinsic facts", "retention", 0.18),
            "edited facts: less retention than intrinsic facts (-0.21, 95 % interval -0.35 to -0.07; 60 facts, 3 "
            "replicates)");
  EXPECT_THAT(contrast_sentence(interval_of(0.2, 0.1, 0.3), "a", "b", "retention", kNaN),
              HasSubstr("a: more retention than b"));
  auto none = interval_of(-0.001, -0.1, 0.1);
  none.replicates = 1;
  none.facts_only = true;
  EXPECT_EQ(contrast_sentence(none, "a", "b", "retention", 0.18),
            "a: no detectable difference in retention from b (+0.00, 95 % interval -0.10 to +0.10; 60 facts, 1 "
            "replicate: facts "
            "only; a difference under 0.18 would mostly go unseen)");
  EXPECT_EQ(verdict(interval_of(0.1, 0.0, 0.2)), Verdict::kNoDifference)
      << "an interval that touches 0 decides nothing";
  auto few = interval_of(-0.2, -0.3, -0.1);
  few.facts = 5;
  EXPECT_EQ(verdict(few), Verdict::kLess);
  few.too_few = true;
  EXPECT_EQ(verdict(few), Verdict::kTooFewFacts);
  EXPECT_EQ(contrast_sentence(few, "a", "b", "retention", 0.18),
            "a: too few facts to compare retention with b (-0.20, 95 % interval -0.30 to -0.10; 5 facts, 3 "
            "replicates)");
  EXPECT_THAT(contrast_sentence(interval_of(0, 0, 0), "a", "b", "retention", 0.18),
              HasSubstr("a: no detectable difference in retention from b (+0.00, in each resample alike; 60 facts"));
  EXPECT_EQ(contrast_sentence(interval_of(kNaN, kNaN, kNaN), "a", "b", "retention", kNaN),
            "a: retention against b was not measured");
}

}  // namespace
}  // namespace palimpsest::analysis
