#include "experiment/plan.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "model/config.hpp"
#include "results/reader.hpp"

namespace palimpsest::experiment {
namespace {

using config::StageKind;

bool matched(const config::Cell& cell) { return cell.experiment.facts.selection == "matched"; }

// A cell's stages before its last fine-tuning: each is a node of its own.
std::size_t prefix_stages(const config::Cell& cell) {
  const auto& stages = cell.experiment.experiment.stages;
  return !stages.empty() && stages.back() == StageKind::kFinetune ? stages.size() - 1 : stages.size();
}

// An editor that writes something needs facts to write.
[[noreturn]] void refuse_no_facts(const config::Cell& cell) {
  const config::Entry* section = cell.experiment.resolved.find("facts");
  const config::Entry* count = section->value.as<config::Table>().find("edited");
  fail(ErrorCode::kInvalidArgument, count->value.position.text(),
       ": facts.edited: found the integer 0, expected at least 1: experiment.stages has \"edit\", and the editor ",
       cell.experiment.editor.id, " needs facts to edit");
}

// In scope batch the editor gets all facts at once, or edit.batch_size at a time.
void check_batch(const config::Cell& cell, std::int64_t largest) {
  const config::Experiment& e = cell.experiment;
  const std::int64_t size = e.edit.batch_size > 0 ? std::min(e.facts.edited, e.edit.batch_size) : e.facts.edited;
  if (e.edit.scope != "batch" || largest == 0 || size <= largest) return;
  fail(ErrorCode::kInvalidArgument, e.editor.position.text(), ": the editor ", e.editor.id, " takes at most ", largest,
       largest == 1 ? " fact" : " facts", " at once; edit.scope = \"batch\" gives it ", size,
       ": use \"sequential\" or \"isolated\", or lower edit.batch_size");
}

// Cells of one group share their facts: same model, facts and lot.
std::string group_of(const config::Cell& cell, const std::string& lot) {
  return cat(lot, "|", cell.experiment.facts.caliper);
}

}  // namespace

std::string_view name_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::kKnowledge: return "knowledge";
    case NodeKind::kSecondMoments: return "second_moments";
    case NodeKind::kRoles: return "roles";
    case NodeKind::kStage: return "stage";
    case NodeKind::kMeasure: return "measure";
    case NodeKind::kScore: return "score";
    case NodeKind::kPart: return "part";
    case NodeKind::kCell: return "cell";
  }
  return "unknown";
}

std::string store_kind(NodeKind kind) {
  return kind == NodeKind::kSecondMoments ? "second_moment" : std::string(name_of(kind));
}

plugin::EditorNeeds editor_needs(const config::Cell& cell, const Environment& environment) {
  const config::PluginChoice& choice = cell.experiment.editor;
  if (choice.id.empty()) return {};
  const plugin::Plugin editor = environment.registry->find("editor", choice.id);
  const model::Config config = model::read_config(cell.experiment.model.path.path);
  try {
    return ask_needs(editor, parameter_values(choice), plugin::model_info_of(config), environment.needs);
  } catch (const Error& error) {
    rethrow_with_context(error, choice.position.text());
  }
}

// Makes the nodes, cell by cell; a node that stands already is not made again.
struct Plan::Builder {
  Plan& plan;
  const Environment& environment;
  KeyMaker keys;
  const std::vector<plugin::EditorNeeds>& needs;  // by cell
  std::vector<Key> roles_keys;                    // of the experiment, sorted
  std::map<std::string, std::string> roles_of;    // by group: id of the roles node
  std::map<std::string, std::vector<std::string>> reference_of;

  const Key& key_of(const std::string& id) const { return plan.find(id).key; }

  std::string add(NodeKind kind, const Key& key, std::size_t cell, std::string label, std::vector<std::string> below,
                  ChainPlace place = {}, std::vector<std::int64_t> layers = {}) {
    PlanNode made{{}, kind, key, cell, place, std::move(layers), std::move(below)};
    // Names of cells hold characters that names of logs and locks must not.
    made.id = cat(name_of(kind), "-", key.hex.substr(0, 24));
    made.label = std::move(label);
    made.depends_on = made.below;
    std::sort(made.depends_on.begin(), made.depends_on.end());
    made.depends_on.erase(std::unique(made.depends_on.begin(), made.depends_on.end()), made.depends_on.end());
    made.is_cell = kind == NodeKind::kCell;
    const std::string id = made.id;
    if (plan.index_.try_emplace(id, plan.nodes_.size()).second) plan.nodes_.push_back(std::move(made));
    return id;
  }

  // In scope isolated each edited fact has a chain of its own; where nothing is edited there is nothing to isolate.
  std::vector<std::optional<std::int64_t>> chains(std::size_t cell) const {
    const config::Experiment& e = plan.cells_[cell].experiment;
    if (e.edit.scope != "isolated" || plan.unedited_[cell]) return {std::nullopt};
    std::vector<std::optional<std::int64_t>> all;
    for (std::int64_t i = 0; i < e.facts.edited; ++i) all.emplace_back(i);
    return all;
  }

  // The place after `stages` stages of the chain of `fact`. Before the first edit the chains are one.
  ChainPlace place_after(std::size_t cell, std::size_t stages, const std::optional<std::int64_t>& fact) const {
    const auto& list = plan.cells_[cell].experiment.experiment.stages;
    const auto end = list.begin() + static_cast<std::ptrdiff_t>(stages);
    return {stages, std::find(list.begin(), end, StageKind::kEdit) != end ? fact : std::nullopt};
  }

  std::string knowledge(std::size_t cell) {
    return add(NodeKind::kKnowledge, keys.knowledge(plan.cells_[cell].experiment), cell, "what the model knows", {});
  }

  std::string moments(std::size_t cell) {
    const auto& layers = needs[cell].second_moments;
    if (layers.empty()) return "";
    KeyBuilder together;
    together.add("what", "second_moments");
    for (const auto layer : layers) {
      together.add(cat("layer ", layer), keys.second_moment(plan.cells_[cell].experiment, layer));
    }
    return add(NodeKind::kSecondMoments, together.build(), cell, "second moments of layer " + list_text(layers), {}, {},
               layers);
  }

  std::string label(std::size_t cell, const ChainPlace& place, std::string_view what) const {
    return cat(plan.cells_[cell].name, place.fact ? cat(", edited fact ", *place.fact + 1) : "", ": ", what);
  }

  // The stage node after `place.stages` stages, and all before it; "" for the base model.
  std::string stage(std::size_t cell, const ChainPlace& place) {
    if (place.stages == 0) return "";
    const config::Cell& c = plan.cells_[cell];
    const StageKind kind = stage_to(c.experiment, place);
    std::vector<std::string> below = {knowledge(cell)};
    const std::string before = stage(cell, place_after(cell, place.stages - 1, place.fact));
    if (!before.empty()) below.push_back(before);
    if (kind == StageKind::kEdit && !needs[cell].second_moments.empty()) below.push_back(moments(cell));
    if (kind == StageKind::kFinetune) {
      below.push_back(roles(cell));
      below.insert(below.end(), plan.roles_.begin(), plan.roles_.end());
    }
    // A fine-tuning anywhere below makes the stage depend on every fact of the experiment.
    const auto end = c.experiment.experiment.stages.begin() + static_cast<std::ptrdiff_t>(place.stages);
    const bool fine_tuned = std::find(c.experiment.experiment.stages.begin(), end, StageKind::kFinetune) != end;
    Key key = keys.stage(c, place, needs[cell].second_moments, fine_tuned ? roles_keys : std::vector<Key>());
    if (kind == StageKind::kFinetune) key = keys.tuned(c, key, key_of(roles(cell)));
    return add(NodeKind::kStage, key, cell, label(cell, place, config::name_of(kind)), std::move(below), place);
  }

  // Edits whose margins the controls of the cell's group are matched to.
  std::vector<std::string> reference(std::size_t cell) {
    const auto& own = plan.cells_[cell];
    if (!matched(own)) return {};
    const std::string group = group_of(own, keys.lot(own).hex);
    if (const auto known = reference_of.find(group); known != reference_of.end()) return known->second;
    for (std::size_t other = 0; other < plan.cells_.size(); ++other) {
      const auto& c = plan.cells_[other];
      const auto& stages = c.experiment.experiment.stages;
      if (needs[other].edits_nothing || stages.empty() || stages.front() != StageKind::kEdit ||
          group_of(c, keys.lot(c).hex) != group)
        continue;
      std::vector<std::string> ids;
      for (const auto& fact : chains(other)) ids.push_back(stage(other, place_after(other, 1, fact)));
      return reference_of[group] = ids;
    }
    fail(ErrorCode::kInvalidArgument, own.experiment.editor.position.text(),
         ": facts.selection = \"matched\" matches controls to the margins of an edit, and no cell of this group begins "
         "with one");
  }

  std::string roles(std::size_t cell) {
    const auto& c = plan.cells_[cell];
    const std::string group = group_of(c, keys.lot(c).hex);
    if (const auto known = roles_of.find(group); known != roles_of.end()) return known->second;
    std::vector<std::string> below = {knowledge(cell)};
    std::vector<Key> edits;
    for (const auto& id : reference(cell)) {
      below.push_back(id);
      edits.push_back(key_of(id));
    }
    const std::string id =
        add(NodeKind::kRoles, keys.roles(c, edits), cell, cat("roles of replicate ", c.replicate), std::move(below));
    plan.roles_.push_back(id);
    return roles_of[group] = id;
  }

  std::string measure(std::size_t cell, const ChainPlace& place) {
    const std::string own_roles = roles(cell);
    const std::string below = stage(cell, place);
    const Key key =
        keys.measure(plan.cells_[cell], below.empty() ? keys.stage(plan.cells_[cell], place, {}, {}) : key_of(below),
                     key_of(own_roles), roles_keys);
    std::vector<std::string> ids = {knowledge(cell), own_roles};
    if (!below.empty()) ids.push_back(below);
    if (metrics_read_as_tasks(plan.cells_[cell].experiment)) {
      ids.insert(ids.end(), plan.roles_.begin(), plan.roles_.end());
    }
    return add(NodeKind::kMeasure, key, cell,
               label(cell, place, place.stages == 0 ? "measure the base model" : "measure the edit"), std::move(ids),
               place);
  }

  // A node of its own, so that cells of several tasks share the measurements of one edit, and those of several metrics
  // the score. The task's data is filtered by every fact of the experiment.
  std::string score(std::size_t cell, const ChainPlace& place) {
    const std::string below = stage(cell, place);
    const Key key = keys.score(
        plan.cells_[cell], below.empty() ? keys.stage(plan.cells_[cell], place, {}, {}) : key_of(below), roles_keys);
    std::vector<std::string> ids = {knowledge(cell)};
    if (!below.empty()) ids.push_back(below);
    ids.insert(ids.end(), plan.roles_.begin(), plan.roles_.end());
    return add(NodeKind::kScore, key, cell,
               label(cell, place, place.stages == 0 ? "score the base model" : "score the edit"), std::move(ids),
               place);
  }

  // The last fine-tuning of a chain.
  std::string part(std::size_t cell, const std::optional<std::int64_t>& fact) {
    const auto& c = plan.cells_[cell];
    const ChainPlace end = place_after(cell, c.experiment.experiment.stages.size(), fact);
    const Key key = keys.tuned(c, keys.stage(c, end, needs[cell].second_moments, roles_keys), key_of(roles(cell)));
    std::vector<std::string> below = {knowledge(cell), roles(cell)};
    const std::string before = stage(cell, place_after(cell, end.stages - 1, fact));
    if (!before.empty()) below.push_back(before);
    below.insert(below.end(), plan.roles_.begin(), plan.roles_.end());
    return add(NodeKind::kPart, key, cell, label(cell, end, config::name_of(StageKind::kFinetune)), std::move(below),
               end);
  }

  void cell(std::size_t index) {
    const auto& c = plan.cells_[index];
    const auto& stages = c.experiment.experiment.stages;
    std::vector<std::string> below = {knowledge(index), roles(index)};
    // What chains share stands in the cell's file once.
    const auto take = [&](const std::string& id) {
      if (std::find(below.begin(), below.end(), id) == below.end()) below.push_back(id);
    };
    const auto measured = [&](const ChainPlace& at) {
      take(measure(index, at));
      if (!c.experiment.task.id.empty()) take(score(index, at));
    };
    measured({});
    for (const auto& fact : chains(index)) {
      for (std::size_t s = 1; s <= prefix_stages(c); ++s) {
        take(stage(index, place_after(index, s, fact)));
        if (stages[s - 1] != StageKind::kFinetune) measured(place_after(index, s, fact));
      }
      if (prefix_stages(c) < stages.size()) take(part(index, fact));
    }
    std::vector<Key> parts;
    for (const auto& id : below) parts.push_back(key_of(id));
    add(NodeKind::kCell, keys.cell(c, parts), index, c.name, std::move(below));
  }
};

Plan::Plan(const config::Document& document, const Environment& environment) : environment_(&environment) {
  config::Expansion expansion = config::expand_all(document, *environment.catalog, environment.locations);
  if (!expansion.problems.empty()) fail(ErrorCode::kInvalidArgument, config::text_of(expansion.problems));
  cells_ = std::move(expansion.cells);
  search_ = std::move(expansion.search);
  Builder builder{*this, environment, environment.keys(), needs_, {}, {}, {}};
  for (const auto& c : cells_) {
    needs_.push_back(editor_needs(c, environment));
    unedited_.push_back(!c.experiment.experiment.has(StageKind::kEdit) || needs_.back().edits_nothing);
    if (unedited_.back()) continue;
    if (c.experiment.facts.edited == 0) refuse_no_facts(c);
    check_batch(c, needs_.back().largest_batch);
  }
  // Roles first: fine-tuning anywhere in the experiment depends on all of them.
  for (std::size_t i = 0; i < cells_.size(); ++i) builder.roles(i);
  std::sort(roles_.begin(), roles_.end());
  for (const auto& id : roles_) builder.roles_keys.push_back(find(id).key);
  for (std::size_t i = 0; i < cells_.size(); ++i) builder.cell(i);

  std::vector<Node> all;
  Sha256 hash;
  for (const auto& node : nodes_) {
    all.push_back(node);
    hash.field(node.id).field(node.key.hex);
  }
  digest_ = hash.hex();
  graph_ = std::make_unique<Graph>(std::move(all));
}

const PlanNode& Plan::find(const std::string& id) const {
  const auto found = index_.find(id);
  if (found == index_.end())
    fail(ErrorCode::kNotFound, "the plan has no node ", id, "; did the experiment's file change while it ran?");
  return nodes_[found->second];
}

std::filesystem::path Plan::cell_file(std::size_t cell) const {
  return cells_[cell].experiment.experiment.output / "cells" / (cells_[cell].name + ".h5");
}

bool Plan::is_done(const PlanNode& node) const {
  if (node.kind == NodeKind::kSecondMoments) {
    KeyMaker keys = environment_->keys();
    return std::all_of(node.layers.begin(), node.layers.end(), [&](std::int64_t layer) {
      return environment_->store->contains(store_kind(NodeKind::kSecondMoments),
                                           keys.second_moment(cells_[node.cell].experiment, layer));
    });
  }
  if (node.kind != NodeKind::kCell) return environment_->store->contains(store_kind(node.kind), node.key);
  const auto file = cell_file(node.cell);
  if (!std::filesystem::exists(file)) return false;
  try {
    return results::Reader(file).attribute<std::string>("/", "key") == node.key.hex;
  } catch (const Error&) {
    return false;  // written by something else, or damaged: it is made again
  }
}

std::vector<Difference> Plan::explain_miss(const PlanNode& node) const {
  if (node.kind == NodeKind::kCell) return {};
  if (node.kind != NodeKind::kSecondMoments) return environment_->store->explain_miss(store_kind(node.kind), node.key);
  KeyMaker keys = environment_->keys();
  for (const auto layer : node.layers) {
    const Key key = keys.second_moment(cells_[node.cell].experiment, layer);
    if (auto found = environment_->store->explain_miss(store_kind(NodeKind::kSecondMoments), key); !found.empty())
      return found;
  }
  return {};
}

}  // namespace palimpsest::experiment
