#include "experiment/probe.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/error.hpp"
#include "model/decoder.hpp"
#include "model/token_rows.hpp"
#include "model/tokenizer/tokenizer.hpp"

namespace palimpsest::experiment {
namespace {

using Tokens = std::span<const std::int64_t>;

struct Tokenized {
  std::vector<std::int64_t> prompt;
  std::vector<std::vector<std::int64_t>> targets;
};

// A forward over these rows.
model::ForwardRequest request_of(const std::vector<Tokens>& rows) {
  model::TokenRows padded = model::right_padded(rows);
  model::ForwardRequest request;
  request.token_ids = std::move(padded.ids);
  request.lengths = std::move(padded.lengths);
  return request;
}

// Rows of logits and their logarithms of probabilities, on the processor.
struct Scores {
  explicit Scores(const at::Tensor& made)
      : logits(made.to(at::kCPU, at::kFloat).contiguous()), log_p(at::log_softmax(logits, 1)) {}
  std::int64_t vocabulary() const { return logits.size(1); }

  at::Tensor logits, log_p;  // [n, vocabulary] float32
};

// Of one token in row `row`. The greedy one is judged by the logits, of which equal ones rank by id, the lower first,
// as greedy generation takes them and metrics count them (sdk/probing.hpp); log-probabilities of different logits can
// be equal.
Answer token_answer(const Scores& scores, std::int64_t row, std::int64_t token) {
  const std::int64_t vocabulary = scores.vocabulary();
  const float* logits = scores.logits.const_data_ptr<float>() + row * vocabulary;
  const float* log_p = scores.log_p.const_data_ptr<float>() + row * vocabulary;
  float best_other = -INFINITY;
  bool greedy = true;
  for (std::int64_t i = 0; i < vocabulary; ++i) {
    if (i == token) continue;
    best_other = std::max(best_other, log_p[i]);
    if (logits[i] > logits[token] || (logits[i] == logits[token] && i < token)) greedy = false;
  }
  return {log_p[token], greedy, double{log_p[token]} - double{best_other}};
}

// The targets' tokens after the first, continuing the prompts' cache; adds to `answers`.
void ask_further_tokens(const model::Model& model, const model::Parameters& parameters, const model::Cache& cache,
                        const std::vector<Tokenized>& batch, std::vector<std::vector<Answer>>& answers,
                        std::size_t offset) {
  std::vector<Tokens> rows;
  std::vector<std::pair<std::size_t, std::size_t>> owners;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    for (std::size_t j = 0; j < batch[i].targets.size(); ++j) {
      const Tokens target = batch[i].targets[j];
      if (target.size() < 2) continue;
      owners.emplace_back(i, j);
      rows.push_back(target.first(target.size() - 1));
    }
  }
  for (std::size_t begin = 0; begin < rows.size(); begin += kRowsAtOnce) {
    const std::size_t end = std::min(rows.size(), begin + kRowsAtOnce);
    model::ForwardRequest request = request_of(
        {rows.begin() + static_cast<std::ptrdiff_t>(begin), rows.begin() + static_cast<std::ptrdiff_t>(end)});
    request.cache = &cache;
    for (std::size_t r = begin; r < end; ++r) {
      request.cache_rows.push_back(static_cast<std::int64_t>(owners[r].first));
      for (std::size_t t = 0; t < rows[r].size(); ++t) {
        request.logits.push_back({static_cast<std::int64_t>(r - begin), static_cast<std::int64_t>(t)});
      }
    }
    const Scores scores(model::forward(model.config, parameters, request).logits);
    std::int64_t row = 0;
    for (std::size_t r = begin; r < end; ++r) {
      const auto [i, j] = owners[r];
      Answer& answer = answers[offset + i][j];
      for (std::size_t t = 0; t < rows[r].size(); ++t, ++row) {
        const std::int64_t target = batch[i].targets[j][t + 1];
        const Answer token = token_answer(scores, row, target);
        answer.logp += token.logp;
        answer.all_top1 = answer.all_top1 && token.all_top1;
      }
    }
  }
}

// How many tokens all rows begin with; every row keeps one of its own.
std::size_t shared_tokens(const std::vector<Tokens>& rows) {
  std::size_t shared = rows.front().size() - 1;
  for (const auto& row : rows) {
    const auto [end, unused] = std::mismatch(row.begin(), row.end() - 1, rows.front().begin(), rows.front().end() - 1);
    shared = std::min(shared, static_cast<std::size_t>(end - row.begin()));
  }
  return shared;
}

// The logits after each prompt, and the cache of all. What the prompts begin with in common runs once.
model::ForwardResult run_prompts(const model::Model& model, const model::Parameters& parameters,
                                 std::vector<Tokens> prompts) {
  model::Cache beginning;
  const std::size_t shared = prompts.size() > 1 ? shared_tokens(prompts) : 0;
  if (shared > 0) {
    model::ForwardRequest first = request_of({prompts.front().first(shared)});
    first.return_cache = true;
    beginning = model::forward(model.config, parameters, first).cache;
    for (Tokens& prompt : prompts) prompt = prompt.subspan(shared);
  }
  model::ForwardRequest request = request_of(prompts);
  if (shared > 0) {
    request.cache = &beginning;
    request.cache_rows.assign(prompts.size(), 0);
  }
  request.return_cache = true;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    request.logits.push_back({static_cast<std::int64_t>(i), static_cast<std::int64_t>(prompts[i].size()) - 1});
  }
  return model::forward(model.config, parameters, request);
}

}  // namespace

std::vector<std::vector<Answer>> ask(const model::Model& model, const model::Parameters& parameters,
                                     const std::vector<Question>& questions, const NextToken& next_token) {
  const c10::NoGradGuard no_grad;
  std::vector<std::vector<Answer>> answers(questions.size());
  for (std::size_t begin = 0; begin < questions.size(); begin += kRowsAtOnce) {
    const std::size_t end = std::min(questions.size(), begin + kRowsAtOnce);
    std::vector<Tokenized> batch;
    for (std::size_t i = begin; i < end; ++i) {
      Tokenized tokenized{model.tokenizer->encode_prompt(questions[i].prompt).ids, {}};
      for (const auto& target : questions[i].targets)
        tokenized.targets.push_back(model.tokenizer->encode_target(target).ids);
      batch.push_back(std::move(tokenized));
    }
    std::vector<Tokens> prompts;
    for (const Tokenized& tokenized : batch) prompts.emplace_back(tokenized.prompt);
    const model::ForwardResult result = run_prompts(model, parameters, std::move(prompts));
    const Scores scores(result.logits);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i);
      if (next_token) {
        next_token(begin + i, {scores.log_p.const_data_ptr<float>() + row * scores.vocabulary(),
                               static_cast<std::size_t>(scores.vocabulary())});
      }
      for (const auto& target : batch[i].targets) {
        answers[begin + i].push_back(token_answer(scores, row, target.at(0)));
      }
    }
    ask_further_tokens(model, parameters, result.cache, batch, answers, begin);
  }
  for (const auto& row : answers) {
    for (const auto& answer : row) {
      if (!std::isfinite(answer.logp))
        fail(ErrorCode::kNumeric, "the model gives a log-probability that is not finite");
    }
  }
  return answers;
}

}  // namespace palimpsest::experiment
