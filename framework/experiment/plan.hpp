// An experiment as a graph: stages that cells share, and the cells.
//
// Every node has a key made of all that determines its result, so a node is done exactly when its result is stored, and
// two cells that want the same thing want the same node. Making a plan reads files and asks editors what they need; it
// runs nothing.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/document.hpp"
#include "config/sweep.hpp"
#include "experiment/catalog.hpp"
#include "experiment/graph.hpp"
#include "experiment/keys.hpp"
#include "experiment/needs.hpp"
#include "experiment/store.hpp"
#include "plugin/registry.hpp"

namespace palimpsest::experiment {

// What a process works with. Members are borrowed and outlive the plan.
struct Environment {
  config::Locations locations;
  plugin::Registry* registry = nullptr;
  Catalog* catalog = nullptr;
  Store* store = nullptr;
  NeedsProcess needs;
  std::string device;  // of this worker, in place of model.device and of the same type; empty: as the cell says

  KeyMaker keys() const { return {*registry, *catalog, store->folder() / "digests"}; }
};

enum class NodeKind {
  kKnowledge,      // what the unedited model knows
  kSecondMoments,  // of the layers that editors need
  kRoles,          // which facts are edited and which intrinsic
  kStage,          // the model after a stage that is not the last fine-tuning
  kMeasure,        // metrics on the base model, or after a stage that edits
  kScore,          // the task's score of the same models
  kPart,           // the last fine-tuning of a cell with its measurements; in scope isolated one for each edited fact
  kCell,           // the cell's file, from all of these
};
std::string_view name_of(NodeKind kind);

struct PlanNode : Node {
  NodeKind kind = NodeKind::kCell;
  Key key;
  std::size_t cell = 0;  // one of the cells that want it
  ChainPlace place;
  std::vector<std::int64_t> layers;  // second moments
  std::vector<std::string> below;    // ids in the order that the work needs them: see worker.cpp
};

class Plan {
 public:
  // Throws Error with all problems of the document, or the first of an editor's needs.
  Plan(const config::Document& document, const Environment& environment);

  const std::vector<config::Cell>& cells() const { return cells_; }
  const std::vector<PlanNode>& nodes() const { return nodes_; }
  const PlanNode& find(const std::string& id) const;
  const Graph& graph() const { return *graph_; }
  // Ids of all roles nodes: fine-tuning filters its data by every fact of the experiment.
  const std::vector<std::string>& roles() const { return roles_; }
  const config::Experiment& experiment() const { return cells_.front().experiment; }
  // Of a document with [tune], whose cells are the trials.
  const std::optional<config::Search>& search() const { return search_; }

  // No stage of the cell edits, or its editor says that it edits nothing.
  bool unedited(std::size_t cell) const { return unedited_.at(cell); }
  // What the cell's editor says that it needs.
  const plugin::EditorNeeds& needs(std::size_t cell) const { return needs_.at(cell); }
  bool is_done(const PlanNode& node) const;
  // Of a node that is not done: what differs from the nearest result of its kind in the store; empty without one. Cells
  // are not in the store.
  std::vector<Difference> explain_miss(const PlanNode& node) const;
  std::filesystem::path cell_file(std::size_t cell) const;
  // Of the whole plan: a worker checks that it makes the same plan as its supervisor.
  const std::string& digest() const { return digest_; }

 private:
  struct Builder;
  const Environment* environment_;
  std::vector<config::Cell> cells_;
  std::optional<config::Search> search_;
  std::vector<bool> unedited_;
  std::vector<plugin::EditorNeeds> needs_;
  std::vector<PlanNode> nodes_;
  std::map<std::string, std::size_t> index_;
  std::vector<std::string> roles_;
  std::unique_ptr<Graph> graph_;
  std::string digest_;
};

// What a cell's editor needs.
plugin::EditorNeeds editor_needs(const config::Cell& cell, const Environment& environment);
// The store's kind of a node, for nodes that store something there.
std::string store_kind(NodeKind kind);

}  // namespace palimpsest::experiment
