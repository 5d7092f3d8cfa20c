#include "experiment/worker.hpp"

#include <ATen/ATen.h>

#include "base/error.hpp"
#include "base/progress.hpp"
#include "experiment/cell_file.hpp"
#include "experiment/edit.hpp"
#include "experiment/finetune.hpp"
#include "experiment/measure.hpp"
#include "experiment/moments.hpp"
#include "experiment/workshop.hpp"

namespace palimpsest::experiment {
namespace {

std::string edit_id(Workshop& workshop, const ChainPlace& place) {
  if (!place.fact) return "";
  const data::Lot lot = draw_lot(workshop.cell(), workshop.facts(), workshop.knowledge());
  return workshop.facts()[static_cast<std::size_t>(lot.edited.at(static_cast<std::size_t>(*place.fact)))].id;
}

void knowledge(Workshop& workshop, const std::filesystem::path& folder) {
  save_knowledge(workshop.facts(), judge_knowledge(workshop.model(), workshop.facts()), folder);
}

void second_moments(Workshop& workshop) {
  const config::SecondMomentsSection& section = workshop.experiment().second_moments;
  const auto& environment = workshop.environment();
  const std::string& id = workshop.node().id;
  KeyMaker keys = environment.keys();
  // Those of an earlier pass of this node, or of another experiment, stay as they are.
  std::vector<std::int64_t> layers = workshop.node().layers;
  std::erase_if(layers, [&](std::int64_t layer) {
    return environment.store->contains(store_kind(NodeKind::kSecondMoments),
                                       keys.second_moment(workshop.experiment(), layer));
  });
  const auto keep = [&](const MomentSum& sum) {
    environment.store->put(store_kind(NodeKind::kSecondMoments), keys.second_moment(workshop.experiment(), sum.layer),
                           [&](const std::filesystem::path& folder) { save_moment(sum, folder); });
  };
  if (section.import.set()) {
    for (const auto& sum : import_moments(section.import.path, layers, workshop.model().config.mlp_width)) keep(sum);
    return;
  }
  compute_moments(workshop.model(), section, layers, environment.store->folder() / "unfinished" / (id + ".safetensors"),
                  keep);
}

void roles(Workshop& workshop, const std::filesystem::path& folder) {
  std::vector<State> edits;
  std::string target = "new";
  bool isolated = false;
  for (const auto& id : workshop.node().below) {
    const PlanNode& node = workshop.plan().find(id);
    if (node.kind != NodeKind::kStage) continue;
    edits.push_back(load_state(workshop.stored(node), workshop.model()));
    target = workshop.plan().cells()[node.cell].experiment.edit.target;
    isolated = node.place.fact.has_value();
  }
  save_roles(
      assign_roles(workshop.cell(), workshop.facts(), workshop.knowledge(), workshop.model(), edits, isolated, target),
      folder);
}

// Adds the recorded updates of the last edit once more. An unedited model has none, and stays as it is.
void reapply(State& state) {
  for (const auto& update : state.updates) {
    if (update.ordinal == state.updates.back().ordinal) state.current = model::apply(state.current, update);
  }
  state.edited = state.current;
  // The weights are no longer base and updates alone.
  state.current_beyond_updates = state.edited_beyond_updates = true;
}

void stage(Workshop& workshop, const std::filesystem::path& folder) {
  const ChainPlace& place = workshop.node().place;
  State state = workshop.entering();
  StageRecord record;
  switch (stage_to(workshop.experiment(), place)) {
    case config::StageKind::kEdit: edit(workshop, state, place, edit_id(workshop, place), record); break;
    case config::StageKind::kFinetune: finetune(workshop, state, place, edit_id(workshop, place), record); break;
    case config::StageKind::kReapply: reapply(state); break;
  }
  save_state(state, workshop.model(), folder);
  record.save(folder);
}

plugin::MeasuringPoint point_of(const ChainPlace& place) {
  return {static_cast<std::int64_t>(place.stages), place.stages == 0 ? "base" : "edited", 0};
}

void measure_stage(Workshop& workshop, const std::filesystem::path& folder) {
  const ChainPlace& place = workshop.node().place;
  const Cast cast(workshop.facts(), workshop.roles(), workshop.experiment().edit);
  StageRecord record;
  measure(workshop, workshop.entering(), point_of(place), edit_id(workshop, place), cast.view(place.fact), record);
  record.save(folder);
}

void score_stage(Workshop& workshop, const std::filesystem::path& folder) {
  const ChainPlace& place = workshop.node().place;
  StageRecord record;
  score(workshop, workshop.entering(), point_of(place), edit_id(workshop, place), record);
  // All models of a cell see the same data: it is told once.
  if (place.stages == 0) workshop.record_data(record);
  record.save(folder);
}

void part(Workshop& workshop, const std::filesystem::path& folder) {
  State state = workshop.entering();
  StageRecord record;
  finetune(workshop, state, workshop.node().place, edit_id(workshop, workshop.node().place), record);
  record.save(folder);
}

}  // namespace

void run_node(const Plan& plan, const PlanNode& node, const Environment& environment) {
  Workshop workshop(plan, node, environment);
  const auto stored = [&](void (*work)(Workshop&, const std::filesystem::path&)) {
    environment.store->put(store_kind(node.kind), node.key,
                           [&](const std::filesystem::path& folder) { work(workshop, folder); });
  };
  switch (node.kind) {
    case NodeKind::kKnowledge: stored(knowledge); break;
    case NodeKind::kSecondMoments: second_moments(workshop); break;
    case NodeKind::kRoles: stored(roles); break;
    case NodeKind::kStage: stored(stage); break;
    case NodeKind::kMeasure: stored(measure_stage); break;
    case NodeKind::kScore: stored(score_stage); break;
    case NodeKind::kPart: stored(part); break;
    case NodeKind::kCell: write_cell_file(workshop); break;
  }
}

}  // namespace palimpsest::experiment
