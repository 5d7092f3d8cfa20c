// The facts of an experiment and who plays which role: file, lot, matching.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "config/sweep.hpp"
#include "data/fact_file.hpp"
#include "data/filter.hpp"
#include "data/lot.hpp"
#include "experiment/knowledge.hpp"
#include "experiment/state.hpp"
#include "plugin/services/context.hpp"

namespace palimpsest::experiment {

// The considered rows of the facts' file. Warnings about prompts go to the log.
std::vector<data::Fact> load_considered_facts(const config::Experiment& experiment, const model::Model& model);

// The lot of a cell. With matched selection the intrinsic facts are candidates, as many as the pool gives up to eight
// times those wanted. Throws kOutOfRange with the counts when too few facts are known.
data::Lot draw_lot(const config::Cell& cell, const std::vector<data::Fact>& facts,
                   const std::vector<Knowledge>& knowledge);

// Who plays which role, with what decided it.
struct Roles {
  std::vector<std::int64_t> edited, intrinsic;  // indices into the facts
  std::int64_t unmatched = 0;  // edited facts that found fewer controls by margin than wanted within the caliper
};
// `edits`: the states whose margins are matched, one, or if `isolated` one for each edited fact; `target` is what was
// written. With matched selection and replicates that exchange roles, the facts that the paired replicate edits are
// intrinsic whatever their margins, and the other places are filled by margin.
Roles assign_roles(const config::Cell& cell, const std::vector<data::Fact>& facts,
                   const std::vector<Knowledge>& knowledge, const model::Model& model, const std::vector<State>& edits,
                   bool isolated, const std::string& target);
void save_roles(const Roles& roles, const std::filesystem::path& folder);
Roles load_roles(const std::filesystem::path& folder);

// Where the edit writes true answers: the intrinsic facts but those whose true answer is one of these in their
// relation, which the edit may have taught too. Throws kOutOfRange when that leaves none.
Roles without_written_answers(Roles roles, const std::vector<data::Fact>& facts);

// The ABI's facts, edited first; owns what they point to but the facts of the file.
class Cast {
 public:
  // `edit`: with target "true" an edited fact has its true answer as target_new and no target_true, so that editors
  // write it and metrics judge it as they do any edit. Throws kInvalidArgument for one without a true answer.
  Cast(const std::vector<data::Fact>& facts, const Roles& roles, const config::EditSection& edit);
  // All, or of the edited ones only number `only`, with all intrinsic ones.
  std::vector<const palimpsest_fact*> view(std::optional<std::int64_t> only = std::nullopt) const;

 private:
  std::deque<data::Fact> rewritten_;
  std::deque<palimpsest_fact> facts_;
  std::size_t edited_ = 0;
};

}  // namespace palimpsest::experiment
