#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "palimpsest/sdk/probing.hpp"

namespace palimpsest::sdk {
namespace {

const std::vector<float> kLogits = {1, 3, 2, 3, -4};

TEST(ScoreToken, GivesLogProbabilityRankAndMargin) {
  double sum = 0;
  for (const float x : kLogits) sum += std::exp(static_cast<double>(x));
  const TokenScore score = score_token(kLogits, 2);
  EXPECT_NEAR(score.logp, 2 - std::log(sum), 1e-6);
  EXPECT_EQ(score.rank, 2);
  EXPECT_EQ(score.greedy, 1);
  EXPECT_DOUBLE_EQ(score.margin, -1);
}

TEST(ScoreToken, RanksEqualLogitsById) {
  EXPECT_EQ(score_token(kLogits, 1).rank, 0);
  EXPECT_EQ(score_token(kLogits, 3).rank, 1);
  EXPECT_DOUBLE_EQ(score_token(kLogits, 1).margin, 0);
  EXPECT_EQ(score_token(kLogits, 4).rank, 4);
}

TEST(ScoreToken, RefusesWhatIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> logits = kLogits;
    logits[0] = bad;
    EXPECT_THROW(score_token(logits, 1), Error);
  }
}

TEST(LogSumExp, HoldsForLargeLogits) {
  const std::vector<float> logits = {10000, 10000};
  EXPECT_NEAR(log_sum_exp(logits), 10000 + std::log(2.0), 1e-3);
}

TEST(TargetScore, SumsUpItsTokens) {
  TargetScore score;
  score.scores = {{-1, 0.5, 0, 7}, {-3, -2, 4, 9}};
  EXPECT_DOUBLE_EQ(score.logp(), -4);
  EXPECT_DOUBLE_EQ(score.logp_mean(), -2);
  EXPECT_DOUBLE_EQ(score.probability(), std::exp(-2.0));
  EXPECT_EQ(score.greedy_tokens(), 1);
  EXPECT_FALSE(score.all_greedy());
}

}  // namespace
}  // namespace palimpsest::sdk
