#include "data/lot.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <set>

#include "base/rng.hpp"
#include "support/error_of.hpp"

namespace palimpsest::data {
namespace {

using ::testing::HasSubstr;

// Facts with shared subjects and, in every third relation, few answers, so that both constraints bite.
std::vector<Fact> make_facts(int relations, int per_relation) {
  std::vector<Fact> facts;
  for (int r = 0; r < relations; ++r) {
    const int answers = r % 3 == 0 ? 6 : 200;
    for (int i = 0; i < per_relation; ++i) {
      Fact fact;
      fact.id = cat(r, "-", i);
      fact.relation = cat("relation ", r);
      fact.subject = cat("Subject ", (r * 7 + i * 3) % (relations * per_relation / 2));
      if (i % 10 == 0) fact.aliases = {cat("SUBJECT  ", (r * 7 + i * 3 + 1) % (relations * per_relation / 2))};
      fact.prompt = "{} has";
      fact.target_true = cat("answer ", i % answers);
      fact.target_new = cat("Answer ", (i + 1 + i % 4) % answers);
      facts.push_back(fact);
    }
  }
  return facts;
}

std::vector<std::int64_t> all_of(const std::vector<Fact>& facts) {
  std::vector<std::int64_t> pool(facts.size());
  for (std::size_t i = 0; i < pool.size(); ++i) pool[i] = static_cast<std::int64_t>(i);
  return pool;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  text.erase(std::unique(text.begin(), text.end(), [](char a, char b) { return a == ' ' && b == ' '; }), text.end());
  return text;
}

void expect_valid(const std::vector<Fact>& facts, const Lot& roles) {
  std::set<std::string> names;
  std::set<std::int64_t> seen;
  std::set<std::string> edited_news;
  for (const auto* side : {&roles.edited, &roles.intrinsic}) {
    for (const auto index : *side) {
      ASSERT_TRUE(seen.insert(index).second) << index << " was drawn twice";
      const Fact& fact = facts[static_cast<std::size_t>(index)];
      std::set<std::string> own = {lower(fact.subject)};
      for (const auto& alias : fact.aliases) own.insert(lower(alias));
      for (const auto& name : own) ASSERT_TRUE(names.insert(name).second) << name << " is shared";
      if (side == &roles.edited) edited_news.insert(lower(fact.relation + "|" + fact.target_new));
    }
  }
  for (const auto index : roles.intrinsic) {
    const Fact& fact = facts[static_cast<std::size_t>(index)];
    ASSERT_FALSE(edited_news.contains(lower(fact.relation + "|" + fact.target_true))) << fact.id;
  }
}

std::set<std::int64_t> set_of(const std::vector<std::int64_t>& v) { return {v.begin(), v.end()}; }

TEST(Lot, InvariantsOverManySeedsAndSizes) {
  const auto facts = make_facts(9, 40);
  const auto pool = all_of(facts);
  const std::pair<int, int> sizes[] = {{20, 40}, {10, 10}, {15, 6}, {0, 12}, {12, 0}, {1, 2}};
  for (const auto& [edited, intrinsic] : sizes) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      const Lot draw = draw_lot(facts, pool, edited, intrinsic, seed, false);
      const Lot swap = draw_lot(facts, pool, edited, intrinsic, seed, true);
      for (const Lot* roles : {&draw, &swap}) {
        ASSERT_EQ(roles->edited.size(), static_cast<std::size_t>(edited));
        ASSERT_EQ(roles->intrinsic.size(), static_cast<std::size_t>(intrinsic));
        expect_valid(facts, *roles);
      }
      const auto draw_edited = set_of(draw.edited), draw_intrinsic = set_of(draw.intrinsic);
      const auto swap_edited = set_of(swap.edited), swap_intrinsic = set_of(swap.intrinsic);
      const auto lead = [](const Lot& roles) {
        return std::set<std::int64_t>(roles.intrinsic.begin(), roles.intrinsic.begin() + roles.exchanged);
      };
      ASSERT_EQ(draw.exchanged, std::min(edited, intrinsic));
      for (const auto i : lead(draw)) ASSERT_TRUE(swap_edited.contains(i));
      for (const auto i : lead(swap)) ASSERT_TRUE(draw_edited.contains(i));
      if (intrinsic >= edited) {
        for (const auto i : draw_edited) ASSERT_TRUE(swap_intrinsic.contains(i));
        for (const auto i : swap_edited) ASSERT_TRUE(draw_intrinsic.contains(i));
      } else {
        for (const auto i : draw_intrinsic) ASSERT_TRUE(swap_edited.contains(i));
        for (const auto i : swap_intrinsic) ASSERT_TRUE(draw_edited.contains(i));
      }
      std::set<std::int64_t> together = draw_edited, together_swapped = swap_edited;
      together.insert(draw_intrinsic.begin(), draw_intrinsic.end());
      together_swapped.insert(swap_intrinsic.begin(), swap_intrinsic.end());
      ASSERT_EQ(together, together_swapped) << "the pair is over the same facts";
    }
  }
}

TEST(Lot, DependOnTheSeedOnly) {
  const auto facts = make_facts(6, 30);
  const auto pool = all_of(facts);
  const Lot a = draw_lot(facts, pool, 10, 20, 3, false), b = draw_lot(facts, pool, 10, 20, 3, false);
  EXPECT_EQ(a.edited, b.edited);
  EXPECT_EQ(a.intrinsic, b.intrinsic);
  EXPECT_NE(a.edited, draw_lot(facts, pool, 10, 20, 4, false).edited);
}

TEST(Lot, AreStratifiedByRelation) {
  std::vector<Fact> facts;
  for (int i = 0; i < 300; ++i) {
    Fact fact;
    fact.id = cat(i);
    fact.relation = i < 150 ? "half" : i < 250 ? "third" : "sixth";
    fact.subject = cat("s", i);
    fact.target_new = cat("new", i);
    fact.target_true = cat("true", i);
    facts.push_back(fact);
  }
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Lot roles = draw_lot(facts, all_of(facts), 12, 30, seed, false);
    EXPECT_EQ(roles.moved_between_relations, 0);
    std::map<std::string, int> edited, intrinsic;
    for (const auto i : roles.edited) ++edited[facts[static_cast<std::size_t>(i)].relation];
    for (const auto i : roles.intrinsic) ++intrinsic[facts[static_cast<std::size_t>(i)].relation];
    EXPECT_EQ(edited, (std::map<std::string, int>{{"half", 6}, {"third", 4}, {"sixth", 2}}));
    EXPECT_EQ(intrinsic, (std::map<std::string, int>{{"half", 15}, {"third", 10}, {"sixth", 5}}));
  }
}

TEST(Lot, EveryFactGetsItsChance) {
  std::vector<Fact> facts = make_facts(1, 10);
  for (std::size_t i = 0; i < facts.size(); ++i) {
    facts[i].subject = cat("only ", i);
    facts[i].aliases.clear();
    facts[i].target_new = cat("n", i);
    facts[i].target_true = cat("t", i);
  }
  std::vector<int> edited(facts.size(), 0);
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    for (const auto i : draw_lot(facts, all_of(facts), 3, 3, seed, false).edited) ++edited[static_cast<std::size_t>(i)];
  }
  // Binomial(1000, 0.3): mean 300, five standard deviations are 72.
  for (const int n : edited) EXPECT_NEAR(n, 300, 72);
}

TEST(Lot, RelationWithoutRoomGivesItsPlacesToOthers) {
  std::vector<Fact> facts;
  for (int i = 0; i < 40; ++i) {
    Fact fact;
    fact.id = cat(i);
    fact.relation = i < 20 ? "binary" : "open";
    fact.subject = cat("s", i);
    fact.target_true = i < 20 ? (i % 2 == 0 ? "yes" : "no") : cat("t", i);
    fact.target_new = i < 20 ? (i % 2 == 0 ? "no" : "yes") : cat("n", i);
    facts.push_back(fact);
  }
  const Lot roles = draw_lot(facts, all_of(facts), 10, 10, 1, false);
  expect_valid(facts, roles);
  expect_valid(facts, draw_lot(facts, all_of(facts), 10, 10, 1, true));
  EXPECT_EQ(roles.edited.size() + roles.intrinsic.size(), 20u);
}

TEST(Lot, PoolTooSmallSaysTheCounts) {
  const auto facts = make_facts(2, 10);
  EXPECT_THAT(
      message_of(ErrorCode::kOutOfRange, [&] { draw_lot(facts, all_of(facts), 15, 10, 0, false); }),
      HasSubstr("wanted 15 edited and 10 intrinsic facts (25), found 20 known facts with 10 different subjects in 2 "
                "relations"));
  EXPECT_THAT(message_of(ErrorCode::kOutOfRange, [&] { draw_lot(facts, all_of(facts), 8, 8, 0, false); }),
              HasSubstr("could be drawn so that no subject is shared"));
}

TEST(Lot, WrongArguments) {
  const auto facts = make_facts(2, 10);
  const std::vector<std::int64_t> outside = {0, 20}, twice = {0, 0};
  message_of(ErrorCode::kInvalidArgument, [&] { draw_lot(facts, outside, 1, 0, 0, false); });
  message_of(ErrorCode::kInvalidArgument, [&] { draw_lot(facts, twice, 1, 0, 0, false); });
  message_of(ErrorCode::kInvalidArgument, [&] { draw_lot(facts, all_of(facts), -1, 2, 0, false); });
  message_of(ErrorCode::kInvalidArgument, [&] { draw_lot(facts, all_of(facts), 0, 0, 0, false); });
}

TEST(MatchByMargin, NearestFirstWithoutReplacement) {
  const std::vector<double> edited = {1.0, 2.0, 9.0}, candidates = {1.9, 1.2, 2.3, 0.5};
  const MarginMatches one = match_by_margin(edited, candidates, 0.5, 3);
  EXPECT_EQ(one.matches[0], (std::vector<std::int64_t>{1}));
  EXPECT_EQ(one.matches[1], (std::vector<std::int64_t>{0}));
  EXPECT_TRUE(one.matches[2].empty());
  EXPECT_EQ(one.unmatched, 1);
  const MarginMatches two = match_by_margin(edited, candidates, 0.5, 6);
  EXPECT_EQ(two.matches[0], (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(two.matches[1], (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(two.unmatched, 1);
}

TEST(MatchByMargin, WhereNotAllCanHaveOneMoreTheNearestHaveIt) {
  const std::vector<double> edited = {5.0, 1.0}, candidates = {5.0, 1.0, 1.1, 9.0};
  const MarginMatches match = match_by_margin(edited, candidates, std::numeric_limits<double>::infinity(), 3);
  EXPECT_EQ(match.matches[0], (std::vector<std::int64_t>{0}));
  EXPECT_EQ(match.matches[1], (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(match.unmatched, 0);
  // Two places of three are filled; the place that is not is one fact's.
  EXPECT_EQ(match_by_margin(edited, std::span(candidates).first(2), 0.5, 3).unmatched, 1);
}

TEST(MatchByMargin, TiesGoByIndex) {
  const std::vector<double> edited = {0.0, 0.0}, candidates = {1.0, -1.0, 1.0};
  const MarginMatches match = match_by_margin(edited, candidates, 1.0, 2);
  EXPECT_EQ(match.matches[0], (std::vector<std::int64_t>{0}));
  EXPECT_EQ(match.matches[1], (std::vector<std::int64_t>{1}));
}

TEST(MatchByMargin, RandomMatchesKeepTheirPromises) {
  Rng rng(5, "margins");
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> edited(rng.below(8)), candidates(rng.below(20));
    for (auto& m : edited) m = std::floor(rng.uniform() * 20) / 4;
    for (auto& m : candidates) m = std::floor(rng.uniform() * 20) / 4;
    const auto per = static_cast<std::int64_t>(1 + rng.below(3));
    const MarginMatches match = match_by_margin(edited, candidates, 0.75, per * std::ssize(edited));
    std::set<std::int64_t> taken;
    std::int64_t unmatched = 0;
    for (std::size_t e = 0; e < edited.size(); ++e) {
      ASSERT_LE(static_cast<std::int64_t>(match.matches[e].size()), per);
      unmatched += std::ssize(match.matches[e]) < per;
      for (std::size_t i = 0; i < match.matches[e].size(); ++i) {
        ASSERT_TRUE(taken.insert(match.matches[e][i]).second);
        const double distance = std::abs(edited[e] - candidates[static_cast<std::size_t>(match.matches[e][i])]);
        ASSERT_LE(distance, 0.75);
      }
    }
    ASSERT_EQ(match.unmatched, unmatched);
    // Whoever lacks a match has no free candidate within the caliper.
    for (std::size_t e = 0; e < edited.size(); ++e) {
      if (static_cast<std::int64_t>(match.matches[e].size()) == per) continue;
      for (std::size_t c = 0; c < candidates.size(); ++c) {
        if (!taken.contains(static_cast<std::int64_t>(c))) {
          ASSERT_GT(std::abs(edited[e] - candidates[c]), 0.75);
        }
      }
    }
  }
}

TEST(MatchByMargin, RefusesWhatIsNoNumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> good = {1.0}, bad = {nan};
  EXPECT_THAT(message_of(ErrorCode::kNumeric, [&] { match_by_margin(good, bad, 1.0, 1); }),
              HasSubstr("the margin of candidate intrinsic fact 0 is not a number"));
  message_of(ErrorCode::kInvalidArgument, [&] { match_by_margin(good, good, nan, 1); });
  message_of(ErrorCode::kInvalidArgument, [&] { match_by_margin(good, good, -1, 1); });
  message_of(ErrorCode::kInvalidArgument, [&] { match_by_margin(good, good, 1, -1); });
  const MarginMatches any = match_by_margin(good, good, std::numeric_limits<double>::infinity(), 1);
  EXPECT_EQ(any.unmatched, 0);
}

}  // namespace
}  // namespace palimpsest::data
