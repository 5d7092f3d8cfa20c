// What a node's work needs, opened once per process and only when asked for: model, facts, knowledge, roles, session.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "experiment/cast.hpp"
#include "experiment/plan.hpp"
#include "experiment/stage_record.hpp"
#include "experiment/state.hpp"

namespace palimpsest::experiment {

class Workshop {
 public:
  // For the cell of `node`; everything is borrowed.
  Workshop(const Plan& plan, const PlanNode& node, const Environment& environment);

  const Plan& plan() const { return *plan_; }
  const PlanNode& node() const { return *node_; }
  const config::Cell& cell() const { return plan_->cells()[node_->cell]; }
  const config::Experiment& experiment() const { return cell().experiment; }
  const Environment& environment() const { return *environment_; }

  const model::Model& model();
  const std::vector<data::Fact>& facts();
  const std::vector<Knowledge>& knowledge();

  // The stored result of the first node of that kind below this one. Throws kInternal when it is not there.
  std::filesystem::path below(NodeKind kind);
  std::optional<std::filesystem::path> find_below(NodeKind kind);
  std::filesystem::path stored(const PlanNode& node);

  // Of this cell: those of its lot, read back from the store, but the controls that without_written_answers() takes.
  // What filters text (all_facts()) and edits takes no notice of that.
  Roles roles();
  // The model that the node starts from: the stage below, or the base model.
  State entering();
  // What instances are given. `filtered`: datasets go through the irrelevance filter of the experiment.
  std::shared_ptr<const plugin::Session> session();
  // Rows read, dropped and kept of the datasets that were opened, as the table /data.
  void record_data(StageRecord& record) const;

  template <typename Kind>
  std::unique_ptr<Kind> make(const char* table, const config::PluginChoice& choice) {
    return std::make_unique<Kind>(environment_->registry->find(abi_kind(table), choice.id), session(),
                                  parameter_values(choice));
  }

 private:
  struct OpenedData {
    std::string path, sha256, digest;
    data::DatasetCounts counts;
  };
  std::shared_ptr<const plugin::TextDataset> open_dataset(const plugin::DatasetRequest& request);
  // Once: every filtered file of the experiment is searched for the same facts.
  void warn_of_unmatchable(const std::vector<data::Unmatchable>& texts);
  // Every fact of every cell of the experiment, with the roles it has anywhere.
  std::vector<data::FilterFact> all_facts();

  const Plan* plan_;
  const PlanNode* node_;
  const Environment* environment_;
  std::optional<model::Model> model_;
  std::optional<std::vector<data::Fact>> facts_;
  std::optional<std::vector<Knowledge>> knowledge_;
  std::shared_ptr<plugin::Session> session_;
  std::shared_ptr<std::vector<OpenedData>> opened_ = std::make_shared<std::vector<OpenedData>>();
  bool warned_of_unmatchable_ = false;
};

}  // namespace palimpsest::experiment
