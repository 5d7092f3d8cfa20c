#include "experiment/probe.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.hpp"
#include "base/progress.hpp"
#include "model/decoder.hpp"
#include "model/tokenizer.hpp"

namespace palimpsest::experiment {
namespace {

// Rows of one forward: bounds the logits held at once (rows x vocabulary floats).
constexpr std::size_t kRows = 64;

struct Tokenized {
  std::vector<std::int64_t> prompt;
  std::vector<std::vector<std::int64_t>> targets;
};

at::Tensor padded(const std::vector<std::vector<std::int64_t>>& rows, std::vector<std::int64_t>& lengths) {
  std::int64_t width = 0;
  for (const auto& row : rows) {
    lengths.push_back(static_cast<std::int64_t>(row.size()));
    width = std::max(width, lengths.back());
  }
  at::Tensor ids = at::zeros({static_cast<std::int64_t>(rows.size()), width}, at::kLong);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy(rows[i].begin(), rows[i].end(), ids[static_cast<std::int64_t>(i)].mutable_data_ptr<std::int64_t>());
  return ids;
}

Answer first_token_answer(const float* log_p, std::int64_t vocabulary, std::int64_t token) {
  float best_other = -INFINITY;
  for (std::int64_t i = 0; i < vocabulary; ++i) {
    if (i != token && log_p[i] > best_other) best_other = log_p[i];
  }
  return {log_p[token], log_p[token] >= best_other, double{log_p[token]} - double{best_other}};
}

// The targets' tokens after the first, continuing the prompts' cache; adds to `answers`.
void ask_further_tokens(const model::Model& model, const model::Parameters& parameters, const model::Cache& cache,
                        const std::vector<Tokenized>& batch, std::vector<std::vector<Answer>>& answers,
                        std::size_t offset) {
  std::vector<std::vector<std::int64_t>> rows;
  std::vector<std::pair<std::size_t, std::size_t>> owners;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    for (std::size_t j = 0; j < batch[i].targets.size(); ++j) {
      if (batch[i].targets[j].size() < 2) continue;
      owners.emplace_back(i, j);
      rows.emplace_back(batch[i].targets[j].begin(), batch[i].targets[j].end() - 1);
    }
  }
  for (std::size_t begin = 0; begin < rows.size(); begin += kRows) {
    const std::size_t end = std::min(rows.size(), begin + kRows);
    model::ForwardRequest request;
    request.token_ids =
        padded({rows.begin() + static_cast<std::ptrdiff_t>(begin), rows.begin() + static_cast<std::ptrdiff_t>(end)},
               request.lengths);
    request.cache = &cache;
    for (std::size_t r = begin; r < end; ++r) {
      request.cache_rows.push_back(static_cast<std::int64_t>(owners[r].first));
      for (std::size_t t = 0; t < rows[r].size(); ++t) {
        request.logits.push_back({static_cast<std::int64_t>(r - begin), static_cast<std::int64_t>(t)});
      }
    }
    const at::Tensor log_p =
        at::log_softmax(model::forward(model.config, parameters, request).logits.to(at::kFloat), 1);
    std::int64_t row = 0;
    for (std::size_t r = begin; r < end; ++r) {
      const auto [i, j] = owners[r];
      Answer& answer = answers[offset + i][j];
      for (std::size_t t = 0; t < rows[r].size(); ++t, ++row) {
        const std::int64_t target = batch[i].targets[j][t + 1];
        const Answer token = first_token_answer(log_p[row].const_data_ptr<float>(), log_p.size(1), target);
        answer.logp += token.logp;
        answer.all_top1 = answer.all_top1 && token.all_top1;
      }
    }
  }
}

}  // namespace

std::vector<std::vector<Answer>> ask(const model::Model& model, const model::Parameters& parameters,
                                     const std::vector<Question>& questions) {
  const c10::NoGradGuard no_grad;
  std::vector<std::vector<Answer>> answers(questions.size());
  for (std::size_t begin = 0; begin < questions.size(); begin += kRows) {
    const std::size_t end = std::min(questions.size(), begin + kRows);
    std::vector<Tokenized> batch;
    std::vector<std::vector<std::int64_t>> prompts;
    for (std::size_t i = begin; i < end; ++i) {
      Tokenized tokenized{model.tokenizer->encode_prompt(questions[i].prompt).ids, {}};
      for (const auto& target : questions[i].targets)
        tokenized.targets.push_back(model.tokenizer->encode_target(target).ids);
      prompts.push_back(tokenized.prompt);
      batch.push_back(std::move(tokenized));
    }
    model::ForwardRequest request;
    request.token_ids = padded(prompts, request.lengths);
    request.return_cache = true;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      request.logits.push_back({static_cast<std::int64_t>(i), static_cast<std::int64_t>(prompts[i].size()) - 1});
    }
    const model::ForwardResult result = model::forward(model.config, parameters, request);
    const at::Tensor log_p = at::log_softmax(result.logits.to(at::kFloat), 1);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const float* row = log_p[static_cast<std::int64_t>(i)].const_data_ptr<float>();
      for (const auto& target : batch[i].targets) {
        answers[begin + i].push_back(first_token_answer(row, log_p.size(1), target.at(0)));
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

std::vector<Knowledge> judge_knowledge(const model::Model& model, const std::vector<data::Fact>& facts) {
  // Facts that share template and relation share their prompts' passes: all their targets are asked after each subject.
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (!facts[i].target_true.empty()) groups[{facts[i].relation, facts[i].prompt}].push_back(i);
  }
  std::map<std::string, std::vector<std::size_t>> relations;
  for (std::size_t i = 0; i < facts.size(); ++i) relations[facts[i].relation].push_back(i);

  std::vector<Knowledge> all(facts.size());
  Progress progress("what the model knows", static_cast<std::int64_t>(facts.size()), "facts");
  for (const auto& [name, members] : groups) {
    const auto& [relation, prompt] = name;
    std::vector<std::string> targets;
    for (const std::size_t i : members) targets.push_back(facts[i].target_true);
    std::sort(targets.begin(), targets.end());
    targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
    std::vector<std::string> subjects;
    for (const std::size_t i : relations[relation]) subjects.push_back(facts[i].subject);
    std::sort(subjects.begin(), subjects.end());
    subjects.erase(std::unique(subjects.begin(), subjects.end()), subjects.end());

    std::vector<Question> questions;
    for (const auto& subject : subjects) questions.push_back({data::expand(prompt, subject), targets});
    const auto answers = ask(model, model.parameters, questions);
    const auto place = [](const std::vector<std::string>& in, const std::string& what) {
      return static_cast<std::size_t>(std::lower_bound(in.begin(), in.end(), what) - in.begin());
    };
    for (const std::size_t i : members) {
      const std::size_t own = place(subjects, facts[i].subject), target = place(targets, facts[i].target_true);
      Knowledge& k = all[i];
      k.truth = answers[own][target];
      k.probability = std::exp(k.truth.logp);
      double sum = 0;
      for (std::size_t s = 0; s < subjects.size(); ++s) sum += s == own ? 0 : std::exp(answers[s][target].logp);
      k.mean_of_others = subjects.size() > 1 ? sum / static_cast<double>(subjects.size() - 1) : 0;
      k.known = k.truth.all_top1 && k.probability >= 2 * k.mean_of_others;
    }
    progress.advance(static_cast<std::int64_t>(members.size()));
  }
  progress.finish();
  return all;
}

}  // namespace palimpsest::experiment
