#include "experiment/cast.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/rng.hpp"
#include "data/text.hpp"
#include "data/tokenized.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "results/reader.hpp"
#include "results/writer.hpp"

namespace palimpsest::experiment {
namespace {

constexpr std::int64_t kCandidatesPerControl = 8;

// Who of the lot's candidates is intrinsic: those whose margins are nearest to the edited facts'. Where replicates
// exchange their roles, the facts that the paired one edits come first, whatever their margins: each fact is then its
// own control, and the remaining places, of which there are some (config/experiment_checks.cpp), are filled by margin.
Roles match(const data::Lot& lot, const std::vector<double>& edited_margins,
            const std::vector<double>& candidate_margins, const config::Cell& cell) {
  const config::FactsSection& f = cell.experiment.facts;
  const auto exchanged = cell.paired ? static_cast<std::size_t>(lot.exchanged) : std::size_t{0};
  const std::int64_t wanted = f.intrinsic - static_cast<std::int64_t>(exchanged);
  const auto found = data::match_by_margin(edited_margins, std::span(candidate_margins).subspan(exchanged),
                                           f.caliper > 0 ? f.caliper : std::numeric_limits<double>::infinity(), wanted);
  Roles roles{lot.edited,
              {lot.intrinsic.begin(), lot.intrinsic.begin() + static_cast<std::ptrdiff_t>(exchanged)},
              found.unmatched};
  // The nearest of each edited fact, then the next of each.
  bool more = true;
  for (std::size_t round = 0; std::exchange(more, false); ++round) {
    for (const auto& own : found.matches) {
      if (round >= own.size()) continue;
      roles.intrinsic.push_back(lot.intrinsic[exchanged + static_cast<std::size_t>(own[round])]);
      more = true;
    }
  }
  if (roles.intrinsic.empty()) {
    fail(ErrorCode::kOutOfRange, "no intrinsic fact lies within facts.caliper = ", f.caliper,
         " nat of an edited fact's margin; raise it");
  }
  return roles;
}

// The fact as its own true answer is written into it.
data::Fact rewritten_to_true(data::Fact fact) {
  if (fact.target_true.empty()) {
    fail(ErrorCode::kInvalidArgument, "edit.target is \"true\", and the edited fact ", fact.id,
         " has no true answer; set facts.known = true, or edit.target = \"new\"");
  }
  fact.target_new = std::exchange(fact.target_true, "");
  // What such a probe expects follows from the answer that is not written.
  std::erase_if(fact.probes, [](const data::Probe& p) { return p.kind == data::kPortability && !p.target.empty(); });
  return fact;
}

}  // namespace

std::vector<data::Fact> load_considered_facts(const config::Experiment& e, const model::Model& model) {
  data::FactOptions options;
  options.format = e.facts.format;
  if (!e.facts.zsre_target.empty()) options.options["zsre_target"] = e.facts.zsre_target;
  options.special_tokens = data::special_token_texts(*model.tokenizer);
  data::FactFile file = data::load_facts(e.facts.file.path, options);
  for (const auto& warning : file.warnings) log::warning(warning);
  const auto count = static_cast<std::int64_t>(file.facts.size());
  if (e.facts.first >= count) {
    fail(ErrorCode::kOutOfRange, "facts.first is ", e.facts.first, "; ", e.facts.file.given, " has ", count, " facts");
  }
  const std::int64_t end = e.facts.limit > 0 ? std::min(count, e.facts.first + e.facts.limit) : count;
  std::vector<data::Fact> facts(file.facts.begin() + e.facts.first, file.facts.begin() + end);
  for (const auto& warning : data::position_zero_warnings(facts, *model.tokenizer, e.facts.file.given))
    log::warning(warning);
  return facts;
}

data::Lot draw_lot(const config::Cell& cell, const std::vector<data::Fact>& facts,
                   const std::vector<Knowledge>& knowledge) {
  const config::FactsSection& f = cell.experiment.facts;
  std::vector<std::int64_t> pool;
  std::int64_t known = 0;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    known += knowledge[i].known ? 1 : 0;
    if ((!f.known || knowledge[i].known) && knowledge[i].probability >= f.min_probability)
      pool.push_back(static_cast<std::int64_t>(i));
  }
  const auto size = static_cast<std::int64_t>(pool.size());
  if (size < f.edited + f.intrinsic) {
    fail(ErrorCode::kOutOfRange, "of ", facts.size(), " facts of ", f.file.given, " the model knows ", known, ", ",
         size, " of them with p >= ", f.min_probability, "; facts.edited and facts.intrinsic ask for ",
         f.edited + f.intrinsic, ": ask for fewer, raise facts.limit, or lower facts.min_probability");
  }
  std::int64_t intrinsic = f.intrinsic;
  if (f.selection == "matched")
    intrinsic = std::max(intrinsic, std::min(size - f.edited, kCandidatesPerControl * f.intrinsic));
  for (;; intrinsic = std::max(f.intrinsic, intrinsic * 3 / 4)) {
    try {
      return data::draw_lot(facts, pool, f.edited, intrinsic, cell.roles_seed, cell.swapped);
    } catch (const Error& error) {
      // The constraints between roles leave fewer candidates than the pool has facts.
      if (error.code() != ErrorCode::kOutOfRange || intrinsic == f.intrinsic) throw;
    }
  }
}

Roles assign_roles(const config::Cell& cell, const std::vector<data::Fact>& facts,
                   const std::vector<Knowledge>& knowledge, const model::Model& model, const std::vector<State>& edits,
                   bool isolated, const std::string& target) {
  const data::Lot lot = draw_lot(cell, facts, knowledge);
  if (cell.experiment.facts.selection != "matched") return {lot.edited, lot.intrinsic, 0};

  const auto margins = [&](const model::Parameters& weights, const std::vector<std::int64_t>& which, bool edited) {
    std::vector<Question> questions;
    for (const auto i : which) {
      const data::Fact& fact = facts[static_cast<std::size_t>(i)];
      questions.push_back(
          {data::expand(fact.prompt, fact.subject), {edited && target == "new" ? fact.target_new : fact.target_true}});
    }
    std::vector<double> made;
    for (const auto& answers : ask(model, weights, questions)) made.push_back(answers[0].margin);
    return made;
  };
  std::vector<double> edited_margins, candidate_margins;
  if (!isolated) {
    edited_margins = margins(edits.at(0).current, lot.edited, true);
    candidate_margins = margins(edits.at(0).current, lot.intrinsic, false);
  } else {
    // Each fact is edited in a model of its own; candidates are judged in the unedited one.
    for (std::size_t i = 0; i < lot.edited.size(); ++i) {
      edited_margins.push_back(margins(edits.at(i).current, {lot.edited[i]}, true)[0]);
    }
    candidate_margins = margins(model.parameters, lot.intrinsic, false);
  }
  return match(lot, edited_margins, candidate_margins, cell);
}

void save_roles(const Roles& roles, const std::filesystem::path& folder) {
  results::Table table{"/roles",
                       "",
                       {results::integer_column("fact", "1", "index among the considered facts"),
                        results::truth_column("edited", "edited; otherwise intrinsic")}};
  for (const auto i : roles.edited) table.append_row({i, true});
  for (const auto i : roles.intrinsic) table.append_row({i, false});
  results::Writer writer;
  writer.table(table);
  writer.attribute("/roles", "unmatched", roles.unmatched);
  writer.commit(folder / "roles.h5");
}

Roles load_roles(const std::filesystem::path& folder) {
  const results::Reader reader(folder / "roles.h5");
  const results::Table table = reader.table("/roles");
  const auto& facts = table.values<std::int64_t>("fact");
  const auto& edited = table.values<results::Bool>("edited");
  Roles roles;
  for (std::size_t i = 0; i < table.rows(); ++i) (bool(edited[i]) ? roles.edited : roles.intrinsic).push_back(facts[i]);
  roles.unmatched = reader.attribute<std::int64_t>("/roles", "unmatched");
  return roles;
}

Roles without_written_answers(Roles roles, const std::vector<data::Fact>& facts) {
  const auto answer = [&](std::int64_t index) {
    const data::Fact& fact = facts[static_cast<std::size_t>(index)];
    return std::pair(fact.relation, data::fold_text(fact.target_true));
  };
  std::set<std::pair<std::string, std::string>> written;
  for (const auto i : roles.edited) written.insert(answer(i));
  const auto left_out = std::erase_if(roles.intrinsic, [&](std::int64_t i) { return written.contains(answer(i)); });
  if (left_out > 0 && roles.intrinsic.empty()) {
    fail(ErrorCode::kOutOfRange,
         "edit.target is \"true\", and each intrinsic fact's answer is one that is written into an edited fact of its "
         "relation: none is left as a control; raise facts.intrinsic, or take relations with more answers");
  }
  return roles;
}

Cast::Cast(const std::vector<data::Fact>& facts, const Roles& roles, const config::EditSection& edit)
    : edited_(roles.edited.size()) {
  std::map<std::string, std::set<std::string>> targets;
  for (const auto& fact : facts) {
    if (!fact.target_true.empty()) targets[fact.relation].insert(fact.target_true);
    targets[fact.relation].insert(fact.target_new);
  }
  std::map<std::string, std::shared_ptr<const std::vector<std::string>>> lists;
  for (const auto& [relation, set] : targets) {
    lists[relation] = std::make_shared<const std::vector<std::string>>(set.begin(), set.end());
  }
  const auto add = [&](std::int64_t index, const char* role) {
    const data::Fact& fact = facts[static_cast<std::size_t>(index)];
    palimpsest_fact made{&fact, role, "", lists[fact.relation]};
    std::vector<std::string> others;
    for (const auto& target : *made.relation_targets) {
      if (target != fact.target_new && target != fact.target_true) others.push_back(target);
    }
    // The same placebo in every cell: it belongs to the fact.
    if (!others.empty())
      made.placebo = others[static_cast<std::size_t>(Rng(0, "placebo/" + fact.id).below(others.size()))];
    facts_.push_back(std::move(made));
  };
  for (const auto i : roles.edited) {
    add(i, "edited");
    if (edit.target == "true") facts_.back().fact = &rewritten_.emplace_back(rewritten_to_true(*facts_.back().fact));
  }
  for (const auto i : roles.intrinsic) add(i, "intrinsic");
}

std::vector<const palimpsest_fact*> Cast::view(std::optional<std::int64_t> only) const {
  std::vector<const palimpsest_fact*> shown;
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    if (i >= edited_ || !only || static_cast<std::int64_t>(i) == *only) shown.push_back(&facts_[i]);
  }
  return shown;
}

}  // namespace palimpsest::experiment
