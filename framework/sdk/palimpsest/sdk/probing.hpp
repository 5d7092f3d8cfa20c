// How a model answers prompts: teacher-forced scores of targets, and the distribution of the next token.
//
// Every distinct prompt runs once; the further tokens of its targets continue its cache. Logits are asked for at the
// positions that predict a target token, in pieces of bounded size, and read in place. Sums are float64. Equal logits
// rank by token id, the lower first, as greedy generation takes them. Needs no libtorch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::sdk {

// One token in one row of logits.
struct TokenScore {
  double logp = 0;          // nat
  double margin = 0;        // log p(token) - log p(best other token), nat
  std::int64_t rank = 0;    // tokens before it; 0: the greedy one
  std::int64_t greedy = 0;  // id of the greedy token
};

// ln of the sum of exp of the row. Throws Error(PALIMPSEST_NUMERIC) when a logit is NaN or infinite.
inline double log_sum_exp(std::span<const float> logits) {
  float best = -std::numeric_limits<float>::infinity();
  for (const float x : logits) best = std::max(best, x);
  double sum = 0;
  for (const float x : logits) sum += static_cast<double>(std::exp(x - best));
  const double result = static_cast<double>(best) + std::log(sum);
  if (!std::isfinite(result)) fail(PALIMPSEST_NUMERIC, "the model's logits hold NaN or infinity");
  return result;
}

// `token` is an id of the row.
inline TokenScore score_token(std::span<const float> logits, std::int64_t token) {
  const auto at = static_cast<std::size_t>(token);
  const float own = logits[at];
  TokenScore score;
  float best_other = -std::numeric_limits<float>::infinity();
  std::size_t greedy = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > logits[greedy]) greedy = i;
    if (i == at) continue;
    best_other = std::max(best_other, logits[i]);
    if (logits[i] > own || (logits[i] == own && i < at)) ++score.rank;
  }
  score.logp = static_cast<double>(own) - log_sum_exp(logits);
  score.margin = static_cast<double>(own) - static_cast<double>(best_other);
  score.greedy = static_cast<std::int64_t>(greedy);
  return score;
}

struct TargetQuery {
  std::string prompt;  // as the model reads it
  std::string target;  // "": only the token after the prompt is of interest; `scores` stays empty
};

struct TargetScore {
  std::vector<std::int64_t> ids;   // of the target
  std::vector<TokenScore> scores;  // of each, the ones before it given
  std::int64_t next = 0;           // the greedy token after the prompt

  double logp() const {
    return std::accumulate(scores.begin(), scores.end(), 0.0, [](double sum, const auto& s) { return sum + s.logp; });
  }
  double logp_mean() const { return logp() / static_cast<double>(scores.size()); }
  // exp of the mean log-probability per token: the references' p(target).
  double probability() const { return std::exp(logp_mean()); }
  std::int64_t greedy_tokens() const {
    return std::count_if(scores.begin(), scores.end(), [](const auto& s) { return s.rank == 0; });
  }
  bool all_greedy() const { return greedy_tokens() == static_cast<std::int64_t>(scores.size()); }
};

namespace detail {

// Most logits held at once, in numbers (64 MiB), and prompts run together.
inline constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 24;
inline constexpr std::size_t kPromptsAtOnce = 64;

struct PromptUse {
  std::vector<std::int64_t> ids;
  std::vector<std::size_t> queries;
};

// Runs the prompts [begin, end) of `prompts` and everything that continues them.
inline void score_batch(const Model& model, Stage stage, std::int64_t vocabulary, std::span<const PromptUse> prompts,
                        std::vector<TargetScore>& results,
                        const std::function<void(std::size_t query, std::span<const float> logits)>& see) {
  const auto width = static_cast<std::size_t>(vocabulary);
  std::vector<std::vector<std::int64_t>> rows;
  std::vector<Position> last;
  for (const auto& prompt : prompts) {
    last.push_back({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(prompt.ids.size()) - 1});
    rows.push_back(prompt.ids);
  }
  const ForwardResult first = model.run(Forward(rows).stage(stage).logits(last).returning_cache());
  const Floats logits = first.logits.floats();
  struct Continued {
    std::size_t query, prompt;
  };
  std::vector<Continued> continued;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    const auto row = logits.span().subspan(p * width, width);
    for (const std::size_t query : prompts[p].queries) {
      TargetScore& result = results[query];
      const TokenScore next = score_token(row, result.ids.empty() ? 0 : result.ids.front());
      result.next = next.greedy;
      if (!result.ids.empty()) result.scores.push_back(next);
      if (result.ids.size() > 1) continued.push_back({query, p});
      if (see) see(query, row);
    }
  }
  for (std::size_t begin = 0; begin < continued.size();) {
    std::vector<std::vector<std::int64_t>> suffixes;
    std::vector<std::int64_t> cache_rows;
    std::vector<Position> at;
    std::size_t end = begin;
    for (; end < continued.size(); ++end) {
      const auto& ids = results[continued[end].query].ids;
      const auto more = static_cast<std::int64_t>(at.size() + ids.size() - 1);
      if (end > begin && more * vocabulary > kLogitsAtOnce) break;
      for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
        at.push_back({static_cast<std::int64_t>(suffixes.size()), static_cast<std::int64_t>(t)});
      }
      suffixes.emplace_back(ids.begin(), ids.end() - 1);
      cache_rows.push_back(static_cast<std::int64_t>(continued[end].prompt));
    }
    const ForwardResult more =
        model.run(Forward(suffixes).stage(stage).continuing(first.cache, std::move(cache_rows)).logits(at));
    const Floats further = more.logits.floats();
    std::size_t row = 0;
    for (std::size_t i = begin; i < end; ++i) {
      TargetScore& result = results[continued[i].query];
      for (std::size_t t = 1; t < result.ids.size(); ++t, ++row) {
        result.scores.push_back(score_token(further.span().subspan(row * width, width), result.ids[t]));
      }
    }
    begin = end;
  }
}

}  // namespace detail

// The scores of the queries, in their order. `see`, when given, is shown each query's logits after its prompt,
// [vocabulary], valid for the call, in no particular order. Prompts are tokenized as prompts, targets as targets.
inline std::vector<TargetScore> score_targets(
    const Host& host, const Model& model, const std::vector<TargetQuery>& queries, Stage stage = Stage::kCurrent,
    const std::function<void(std::size_t query, std::span<const float> logits)>& see = {}) {
  const std::int64_t vocabulary = model.info().vocabulary;
  std::vector<TargetScore> results(queries.size());
  std::map<std::string_view, detail::PromptUse> distinct;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    if (!queries[i].target.empty()) results[i].ids = host.encode_target(queries[i].target);
    detail::PromptUse& use = distinct[queries[i].prompt];
    if (use.queries.empty()) use.ids = host.encode_prompt(queries[i].prompt);
    if (use.ids.empty()) fail(PALIMPSEST_INVALID_ARGUMENT, "the prompt \"", queries[i].prompt, "\" has no tokens");
    use.queries.push_back(i);
  }
  std::vector<detail::PromptUse> prompts;
  for (auto& [text, use] : distinct) prompts.push_back(std::move(use));
  // Rows of like lengths go together, so that little is padded.
  std::stable_sort(prompts.begin(), prompts.end(),
                   [](const auto& a, const auto& b) { return a.ids.size() < b.ids.size(); });
  const auto rows_at_once = static_cast<std::size_t>(std::max<std::int64_t>(1, detail::kLogitsAtOnce / vocabulary));
  const std::size_t step = std::min(detail::kPromptsAtOnce, rows_at_once);
  for (std::size_t begin = 0; begin < prompts.size(); begin += step) {
    host.stop_if_cancelled();
    const std::size_t count = std::min(step, prompts.size() - begin);
    detail::score_batch(model, stage, vocabulary, std::span(prompts).subspan(begin, count), results, see);
  }
  return results;
}

}  // namespace palimpsest::sdk
