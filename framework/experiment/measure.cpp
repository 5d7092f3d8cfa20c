#include "experiment/measure.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace palimpsest::experiment {
namespace {

std::uint32_t mask_of(const std::string& stage) {
  if (stage == "base") return PALIMPSEST_WHEN_BASE;
  if (stage == "edited") return PALIMPSEST_WHEN_EDITED;
  return stage == "step" ? PALIMPSEST_WHEN_STEP : PALIMPSEST_WHEN_FINETUNED;
}

}  // namespace

void measure(Workshop& workshop, const State& state, const plugin::MeasuringPoint& point, const std::string& edit,
             const std::vector<const palimpsest_fact*>& facts, StageRecord& record) {
  palimpsest_model model = model_of(state, workshop.model(), workshop.cell().seed);
  const c10::NoGradGuard no_grad;
  plugin::MeasuringPoint counted = point;
  counted.tokens_trained = state.tokens_trained;
  counted.edit_tokens = state.edit_tokens;
  for (const auto& choice : workshop.experiment().metrics) {
    const auto metric = workshop.make<plugin::Metric>("metric", choice);
    if ((metric->when() & mask_of(point.stage)) == 0) continue;
    record.add_rows("/metrics/" + choice.id, edit, point, metric->columns(), metric->measure(model, counted, facts),
                    facts);
  }
}

void score(Workshop& workshop, plugin::Task& task, const State& state, const plugin::MeasuringPoint& point,
           const std::string& edit, StageRecord& record) {
  palimpsest_model model = model_of(state, workshop.model(), workshop.cell().seed);
  const c10::NoGradGuard no_grad;
  record.add_rows("/task_score/" + workshop.experiment().task.id, edit, point, task.score_columns(), task.score(model),
                  {});
}

void score(Workshop& workshop, const State& state, const plugin::MeasuringPoint& point, const std::string& edit,
           StageRecord& record) {
  const auto task = workshop.make<plugin::Task>("task", workshop.experiment().task);
  palimpsest_model model = model_of(state, workshop.model(), workshop.cell().seed);
  task->prepare(model);
  score(workshop, *task, state, point, edit, record);
}

}  // namespace palimpsest::experiment
