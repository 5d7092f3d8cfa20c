// How strongly a model gives an answer to a prompt: what knowing, matching by margin and an edit's start are judged by.
//
// Work is shared: prompts run once, all targets of a prompt are read from the same pass.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/fact.hpp"
#include "model/checkpoint.hpp"

namespace palimpsest::experiment {

struct Answer {
  double logp = 0;        // sum over the target's tokens, natural logarithm, teacher-forced
  bool all_top1 = false;  // every token of the target is the most probable one
  double margin = 0;      // log p(first token of the target) - log p(best other first token)
};

struct Question {
  std::string prompt;                // the subject written out
  std::vector<std::string> targets;  // answers to be judged
};

// answers[i][j]: of targets[j] after questions[i].prompt. `parameters` over the architecture of `model`.
std::vector<std::vector<Answer>> ask(const model::Model& model, const model::Parameters& parameters,
                                     const std::vector<Question>& questions);

// What the unedited model knows of one fact (SCIENCE section 2).
struct Knowledge {
  Answer truth;               // of target_true
  double probability = 0;     // exp(truth.logp)
  double mean_of_others = 0;  // mean probability of the same target after other subjects of the relation
  bool known = false;         // truth.all_top1, and probability at least twice mean_of_others
};

// Facts without target_true are not known. Others' subjects are tried in the fact's own template, all of the relation.
std::vector<Knowledge> judge_knowledge(const model::Model& model, const std::vector<data::Fact>& facts);

}  // namespace palimpsest::experiment
