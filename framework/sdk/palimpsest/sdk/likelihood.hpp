// Log-probabilities of texts: how well a model predicts token after token of a document, or a continuation of a
// context.
//
// Sums are float64, in nat; logits never leave the model (fused log-probabilities). Rows of like lengths run together,
// so that little is padded; the order of the results is the order of what was given. Needs no libtorch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::sdk {

struct Likelihood {
  double logp = 0;          // sum over the predicted tokens, nat
  std::int64_t tokens = 0;  // predicted

  void add(const Likelihood& other) {
    logp += other.logp;
    tokens += other.tokens;
  }
  // nat/token; NaN while nothing was predicted.
  double mean_nll() const { return -logp / static_cast<double>(tokens); }
  double perplexity() const { return std::exp(mean_nll()); }
  // Length of the code that the model gives the predicted tokens.
  double bits() const { return -logp / std::numbers::ln2; }
};

// A piece of a document that runs in one pass: tokens [begin, end), of which [predict, end) are predicted here.
struct Window {
  std::size_t begin, end, predict;
  bool operator==(const Window&) const = default;
};

// Windows over `tokens` tokens, `size` tokens each at most: the next one begins `size - context` tokens further on, so
// that every token but the first is predicted exactly once, in all windows but the first with `context` tokens or more
// before it. 1 <= context < size.
inline std::vector<Window> windows(std::size_t tokens, std::size_t size, std::size_t context) {
  std::vector<Window> made;
  for (std::size_t begin = 0, predicted = 1; predicted < tokens; begin += size - context) {
    const std::size_t end = std::min(tokens, begin + size);
    made.push_back({begin, end, predicted});
    predicted = end;
  }
  return made;
}

namespace detail {

// Most tokens, padding included, and most rows of one pass.
inline constexpr std::size_t kTokensAtOnce = 4096;
inline constexpr std::size_t kRowsAtOnce = 64;

// Places [0, sizes.size()) in batches that run together: ascending by size, each within the limits above.
inline std::vector<std::vector<std::size_t>> batches(const std::vector<std::size_t>& sizes) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return sizes[a] < sizes[b]; });
  std::vector<std::vector<std::size_t>> made;
  for (const std::size_t place : order) {
    // Ascending: the newest is the longest.
    const bool full =
        made.empty() || made.back().size() == kRowsAtOnce || (made.back().size() + 1) * sizes[place] > kTokensAtOnce;
    if (full) made.emplace_back();
    made.back().push_back(place);
  }
  return made;
}

}  // namespace detail

// What the model gives each document's tokens, the first of each taken as given. Throws Error(PALIMPSEST_NUMERIC) for a
// sum that is not finite.
inline std::vector<Likelihood> document_likelihoods(const Host& host, const Model& model,
                                                    std::span<const std::vector<std::int64_t>> documents,
                                                    std::size_t window, std::size_t context,
                                                    Stage stage = Stage::kCurrent) {
  struct Piece {
    std::size_t document;
    Window window;
  };
  std::vector<Piece> pieces;
  std::vector<std::size_t> sizes;
  for (std::size_t d = 0; d < documents.size(); ++d) {
    for (const Window& w : windows(documents[d].size(), window, context)) {
      pieces.push_back({d, w});
      sizes.push_back(w.end - w.begin);
    }
  }
  std::vector<Likelihood> sums(documents.size());
  for (const auto& batch : detail::batches(sizes)) {
    host.stop_if_cancelled();
    std::vector<std::vector<std::int64_t>> rows;
    std::vector<Position> at;
    std::vector<std::int64_t> targets;
    for (const std::size_t p : batch) {
      const auto& [document, w] = pieces[p];
      const auto& ids = documents[document];
      for (std::size_t t = w.predict; t < w.end; ++t) {
        at.push_back({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(t - w.begin) - 1});
        targets.push_back(ids[t]);
      }
      // The last token predicts nothing.
      rows.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(w.begin),
                        ids.begin() + static_cast<std::ptrdiff_t>(w.end) - 1);
    }
    const auto result = model.run(Forward(rows).stage(stage).logprobs(std::move(at), std::move(targets)));
    const Floats logprobs = result.logprobs.floats();
    std::size_t next = 0;
    for (const std::size_t p : batch) {
      Likelihood& sum = sums[pieces[p].document];
      for (std::size_t t = pieces[p].window.predict; t < pieces[p].window.end; ++t) {
        sum.logp += static_cast<double>(logprobs[next++]);
        ++sum.tokens;
      }
    }
  }
  for (std::size_t d = 0; d < sums.size(); ++d) {
    if (std::isfinite(sums[d].logp)) continue;
    fail(PALIMPSEST_NUMERIC, "the log-probability of document ", d, " (", documents[d].size(), " tokens) is ",
         sums[d].logp);
  }
  return sums;
}

// A context and what may follow it, as token ids; none is empty.
struct Continuations {
  std::vector<std::int64_t> context;
  std::vector<std::vector<std::int64_t>> choices;
};

// What the model gives each choice after its context, [question][choice]. A context runs once; its choices continue its
// cache.
inline std::vector<std::vector<Likelihood>> continuation_likelihoods(const Host& host, const Model& model,
                                                                     std::span<const Continuations> questions,
                                                                     Stage stage = Stage::kCurrent) {
  std::vector<std::vector<Likelihood>> all(questions.size());
  std::vector<std::size_t> sizes;
  for (std::size_t q = 0; q < questions.size(); ++q) {
    all[q].resize(questions[q].choices.size());
    sizes.push_back(questions[q].context.size());
  }
  for (const auto& batch : detail::batches(sizes)) {
    host.stop_if_cancelled();
    struct Place {
      std::size_t question, choice;
      std::int64_t row;
    };
    std::vector<std::vector<std::int64_t>> rows;
    std::vector<Place> places;
    std::vector<Position> at;
    std::vector<std::int64_t> targets;
    for (const std::size_t q : batch) {
      const auto row = static_cast<std::int64_t>(rows.size());
      rows.push_back(questions[q].context);
      for (std::size_t c = 0; c < questions[q].choices.size(); ++c) {
        places.push_back({q, c, row});
        at.push_back({row, static_cast<std::int64_t>(questions[q].context.size()) - 1});
        targets.push_back(questions[q].choices[c].front());
      }
    }
    const auto first = model.run(Forward(rows).stage(stage).logprobs(at, targets).returning_cache());
    const Floats begins = first.logprobs.floats();
    for (std::size_t i = 0; i < places.size(); ++i) {
      all[places[i].question][places[i].choice] = {static_cast<double>(begins[i]), 1};
    }
    std::vector<std::size_t> rest;  // choices of more than one token, by their lengths
    std::vector<Place> longer;
    for (const Place& place : places) {
      const std::size_t tokens = questions[place.question].choices[place.choice].size();
      if (tokens < 2) continue;
      rest.push_back(tokens - 1);
      longer.push_back(place);
    }
    for (const auto& part : detail::batches(rest)) {
      std::vector<std::vector<std::int64_t>> suffixes;
      std::vector<std::int64_t> cache_rows;
      at.clear();
      targets.clear();
      for (const std::size_t i : part) {
        const auto& ids = questions[longer[i].question].choices[longer[i].choice];
        for (std::size_t t = 1; t < ids.size(); ++t) {
          at.push_back({static_cast<std::int64_t>(suffixes.size()), static_cast<std::int64_t>(t) - 1});
          targets.push_back(ids[t]);
        }
        suffixes.emplace_back(ids.begin(), ids.end() - 1);
        cache_rows.push_back(longer[i].row);
      }
      const auto more = model.run(
          Forward(suffixes).stage(stage).continuing(first.cache, std::move(cache_rows)).logprobs(at, targets));
      const Floats further = more.logprobs.floats();
      std::size_t next = 0;
      for (const std::size_t i : part) {
        Likelihood& sum = all[longer[i].question][longer[i].choice];
        for (std::size_t t = 0; t < rest[i]; ++t) sum.logp += static_cast<double>(further[next++]);
        sum.tokens += static_cast<std::int64_t>(rest[i]);
      }
    }
  }
  for (std::size_t q = 0; q < all.size(); ++q) {
    for (const Likelihood& sum : all[q]) {
      if (!std::isfinite(sum.logp))
        fail(PALIMPSEST_NUMERIC, "the log-probability of a choice of question ", q, " is ", sum.logp);
    }
  }
  return all;
}

}  // namespace palimpsest::sdk
