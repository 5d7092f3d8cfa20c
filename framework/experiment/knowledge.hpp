// What the unedited model knows of the facts, as `facts.known` defines it (docs/configuration.md).
//
// Plain data; not synchronised.
#pragma once

#include <filesystem>
#include <vector>

#include "data/fact.hpp"
#include "experiment/probe.hpp"
#include "model/model.hpp"

namespace palimpsest::experiment {

struct Knowledge {
  Answer truth;            // of target_true
  double probability = 0;  // exp(truth.logp)
  bool known = false;  // truth.all_top1, and probability at least twice its mean after the relation's other subjects
};

// Facts without target_true are not known. Others' subjects are tried in the fact's own template, all of the relation,
// and as far as it takes: a target's first token is at least as probable as the target, so that where a fact is known
// against the first token alone, and where its own answer is not the greedy one, nothing more is asked.
std::vector<Knowledge> judge_knowledge(const model::Model& model, const std::vector<data::Fact>& facts);

// As one table of a file in `folder`, and back.
void save_knowledge(const std::vector<data::Fact>& facts, const std::vector<Knowledge>& knowledge,
                    const std::filesystem::path& folder);
std::vector<Knowledge> load_knowledge(const std::filesystem::path& folder);

}  // namespace palimpsest::experiment
