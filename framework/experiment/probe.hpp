// How strongly a model gives an answer to a prompt: what knowing, matching by margin and an edit's start are judged by.
//
// Work is shared: prompts run once, what they begin with in common runs once for all, and all targets of a prompt are
// read from the same pass.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/model.hpp"

namespace palimpsest::experiment {

struct Answer {
  double logp = 0;        // sum over the target's tokens, natural logarithm, teacher-forced
  bool all_top1 = false;  // every token of the target is the one that greedy generation takes
  double margin = 0;      // log p(first token of the target) - log p(best other first token)
};

// Rows of one forward (prompts, or targets that continue them): bounds the logits held at once.
inline constexpr std::size_t kRowsAtOnce = 64;

struct Question {
  std::string prompt;                // the subject written out
  std::vector<std::string> targets;  // answers to be judged
};

// Sees the natural logarithms of the probabilities of all tokens after prompt `question`; the span lives for the call.
using NextToken = std::function<void(std::size_t question, std::span<const float> log_p)>;

// answers[i][j]: of targets[j] after questions[i].prompt; targets may be none. `parameters` over the architecture of
// `model`. `next_token`, if given, is called once a question, in their order. Throws kNumeric for a log-probability
// that is not finite.
std::vector<std::vector<Answer>> ask(const model::Model& model, const model::Parameters& parameters,
                                     const std::vector<Question>& questions, const NextToken& next_token = {});

}  // namespace palimpsest::experiment
