#include "experiment/finetune.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/progress.hpp"
#include "data/packing.hpp"
#include "experiment/measure.hpp"
#include "experiment/supervisor_worker.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "training/arithmetic.hpp"
#include "training/loop.hpp"

namespace palimpsest::experiment {
namespace {

training::TrainingOptions options_of(const config::Experiment& e, bool measured_before) {
  const config::TrainingSection& t = e.training;
  training::TrainingOptions o;
  o.tuning = {training::parse_tuning_method(e.tuning.method), e.tuning.rank, e.tuning.alpha, e.tuning.dropout,
              training::parse_targets(e.tuning.targets)};
  o.adamw = {.weight_decay = t.weight_decay,
             .beta1 = t.beta1,
             .beta2 = t.beta2,
             .epsilon = t.epsilon,
             .state = training::parse_state_place(t.optimizer_state)};
  o.schedule = {training::parse_schedule(t.schedule), t.learning_rate, t.warmup};
  o.batch_size = t.batch_size;
  o.accumulation = t.accumulation;
  o.max_steps = t.max_steps;
  o.epochs = t.epochs;
  o.clip_norm = t.clip_norm;
  o.stopping = {t.stop_loss, t.stop_gain_share, t.stop_reference_gain, t.patience};
  o.evaluate_every = t.evaluate_every;
  o.validation_blocks = t.validation_blocks;
  o.measure = {t.measure_steps, t.measure_every, t.measure_epochs};
  // Step 0 is the stage before: what was measured there is not measured again.
  if (measured_before) std::erase(o.measure.steps, 0);
  o.precision = training::parse_precision(t.precision);
  o.matmul = training::parse_matmul(t.matmul);
  o.activation_checkpointing = t.activation_checkpointing;
  o.masters = training::parse_masters(t.masters);
  return o;
}

// One example is one row, in the task's order. One that is longer than a row may be is left out: half an example
// teaches something else. A task with a loss of its own gets all, since its row i is its example i and the lengths are
// its affair.
std::vector<training::Example> padded_examples(plugin::Task& task, palimpsest_split split, std::int64_t block_size) {
  std::vector<training::Example> examples;
  const std::int64_t count = task.count(split);
  const bool own_loss = task.has_loss();
  for (std::int64_t i = 0; i < count; ++i) {
    plugin::Example e = task.example(split, i);
    if (!own_loss && std::ssize(e.token_ids) > block_size) continue;
    examples.emplace_back(std::move(e.token_ids), std::move(e.labels));
  }
  const std::int64_t left_out = count - std::ssize(examples);
  const char* rows = split == PALIMPSEST_TRAIN ? "training" : "validation";
  if (examples.empty() && count > 0) {
    fail(ErrorCode::kInvalidArgument, task.label(), ": all ", count, " examples for ", rows,
         " have more tokens than training.block_size = ", block_size, "; raise it");
  }
  if (left_out > 0) {
    log::warning(cat(task.label(), ": ", left_out, " of ", count, " examples for ", rows,
                     " have more tokens than training.block_size = ", block_size, " and are left out"));
  }
  return examples;
}

std::vector<training::Example> examples_of(plugin::Task& task, palimpsest_split split, const model::Model& model,
                                           const config::TrainingSection& t, std::uint64_t seed) {
  if (task.batching() == PALIMPSEST_BATCHING_PAD) return padded_examples(task, split, t.block_size);
  if (task.has_loss()) {
    fail(ErrorCode::kInvalidArgument, task.label(),
         ": it has a loss of its own and gives batching PACK; expected PAD, since packed blocks have no examples");
  }
  std::vector<training::Example> examples;
  const std::int64_t count = task.count(split);
  std::vector<std::vector<std::int64_t>> documents;
  for (std::int64_t i = 0; i < count; ++i) documents.push_back(task.example(split, i).token_ids);
  data::PackOptions pack{
      .block_size = t.block_size, .place = data::SeparatorPlace::kNone, .separator = -1, .seed = std::nullopt};
  if (const auto eos = model.tokenizer->eos_id()) {
    pack.place = data::SeparatorPlace::kBehind;
    pack.separator = *eos;
  }
  if (split == PALIMPSEST_TRAIN) pack.seed = seed;
  const data::Blocks blocks = data::pack(documents, pack);
  for (std::int64_t i = 0; i < blocks.count(); ++i) {
    const auto block = blocks.block(i);
    examples.push_back({{block.begin(), block.end()}, {}});
  }
  return examples;
}

std::vector<training::Decision> decisions_of(Workshop& workshop, const State& state,
                                             const training::TuningOptions& tuning) {
  const auto policy = workshop.make<plugin::FreezePolicy>("freeze_policy", workshop.experiment().freeze_policy);
  std::vector<training::Decision> decisions;
  for (const auto& made : policy->decide(model_of(state, workshop.model(), workshop.cell().seed))) {
    training::Decision& decision = decisions.emplace_back(training::Decision{made.frozen, {}});
    for (const auto& p : made.projections) {
      decision.projections.push_back(
          {p.side == PALIMPSEST_SIDE_OUT ? training::Side::kOut : training::Side::kIn, p.basis});
    }
  }
  if (tuning.method != training::TuningMethod::kFull) {
    try {
      training::adapted(state.current, decisions, tuning);
    } catch (const Error& error) {
      rethrow_with_context(error, cat("freeze_policy.id = \"", workshop.experiment().freeze_policy.id,
                                      "\" with tuning.method = \"", training::name_of(tuning.method), "\""));
    }
  }
  return decisions;
}

// Equal for two fine-tunings that change the same weights in the same way: of each parameter whether it is frozen, has
// an adapter, and how many directions are kept out of its change.
std::string trained_weights(const model::Parameters& parameters, const std::vector<training::Decision>& decisions,
                            const training::TuningOptions& tuning) {
  std::vector<bool> adapts(decisions.size(), false);
  std::string text(training::name_of(tuning.method));
  if (tuning.method != training::TuningMethod::kFull) {
    for (const auto place : training::adapted(parameters, decisions, tuning)) adapts[place] = true;
    text += cat(' ', tuning.rank);
  }
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    text += cat('\n', parameters.infos()[i].name, decisions[i].frozen ? " frozen" : "", adapts[i] ? " adapter" : "");
    for (const auto& [side, basis] : decisions[i].projections) {
      text += cat(side == training::Side::kOut ? " out " : " in ", basis.size(1));
    }
  }
  return sha256_hex(text);
}

void record_dose(const training::TrainingResult& result, const std::string& trained_weights, const std::string& edit,
                 std::int64_t ordinal, StageRecord& record) {
  auto& steps = record.table(
      "/training", "one optimiser step",
      at_stage({integer_column("step", "optimiser step", "from 1"), number_column("learning_rate", "1", "of this step"),
                number_column("loss", "nat/token",
                              "mean training loss of the step's labels, before its update; of a task "
                              "with a loss of its own, of the step's examples, in nat"),
                number_column("gradient_norm", "1", "of all gradients as one vector, before clipping"),
                integer_column("tokens", "token", "trained on so far, this step included")}));
  for (const auto& s : result.steps)
    steps.append_row({edit, ordinal, s.step, s.learning_rate, s.loss, s.gradient_norm, s.tokens});

  auto& evaluations =
      record.table("/evaluations", "one evaluation on the held-out sample",
                   at_stage({integer_column("step", "optimiser step", "0 is before the first"),
                             number_column("validation_loss", "nat/token",
                                           "mean loss on the held-out sample; nat per example of a task with a "
                                           "loss of its own")}));
  for (const auto& e : result.evaluations) evaluations.append_row({edit, ordinal, e.step, e.validation_loss});

  auto& change = record.table(
      "/weight_change", "one layer after fine-tuning",
      at_stage(
          {integer_column("layer", "1", "-1: embedding, final norm and head"),
           number_column("relative_change", "1",
                         "|W - W_entering| / |W_entering| over the layer's parameters, those of adapters merged")}));
  for (const auto& layer : result.dose.layers) change.append_row({edit, ordinal, layer.layer, layer.relative});

  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  auto& dose = record.table(
      "/dose", "one fine-tuning",
      at_stage({integer_column("steps", "optimiser step", "done"), integer_column("tokens", "token", "trained on"),
                integer_column("trained", "1", "numbers that the optimiser changes: weights, or those of adapters"),
                text_column("trained_weights", "digest of which weights are changed and how"),
                number_column("epochs", "1", "passes over the training rows"),
                number_column("validation_loss_before", "nat/token", "on the held-out sample, before the first step"),
                number_column("validation_loss_after", "nat/token", "on the held-out sample, after the last step"),
                text_column("stop_reason", "why fine-tuning ended")}));
  dose.append_row({edit, ordinal, result.dose.steps, result.dose.tokens, result.dose.trained, trained_weights,
                   result.dose.epochs, result.dose.validation_before.value_or(kNone),
                   result.dose.validation_after.value_or(kNone), training::name_of(result.stop)});
}

}  // namespace

void finetune(Workshop& workshop, State& state, const ChainPlace& place, const std::string& edit, StageRecord& record) {
  const config::Experiment& e = workshop.experiment();
  const auto ordinal = static_cast<std::int64_t>(place.stages);
  const Cast cast(workshop.facts(), workshop.roles(), e.edit);
  const auto facts = cast.view(place.fact);

  const auto task = workshop.make<plugin::Task>("task", e.task);
  palimpsest_model entering = model_of(state, workshop.model(), workshop.cell().seed);
  task->prepare(entering);
  training::TrainingData data{
      examples_of(*task, PALIMPSEST_TRAIN, workshop.model(), e.training, workshop.cell().seed),
      examples_of(*task, PALIMPSEST_VALIDATION, workshop.model(), e.training, workshop.cell().seed)};

  const bool measured_before =
      place.stages == 1 || stage_to(e, {place.stages - 1, place.fact}) != config::StageKind::kFinetune;
  const training::TrainingOptions options = options_of(e, measured_before);
  if (task->has_loss()) {
    // In the arithmetic of training: what enters and what is trained are then compared alike.
    const training::ArithmeticScope arithmetic(options.precision, options.matmul);
    task->prepare_loss(entering);
    entering.recompute_layers = options.activation_checkpointing;
    data.loss = [&task, model = entering](const model::Parameters& weights, const model::Overrides& adapters,
                                          bool validation, std::span<const std::int64_t> rows) mutable {
      model.current = weights;
      model.adapters = adapters;
      return task->loss(model, validation ? PALIMPSEST_VALIDATION : PALIMPSEST_TRAIN, rows);
    };
  }
  const training::TrainingPlan planned = training::plan(options, static_cast<std::int64_t>(data.train.size()));
  Progress progress("fine-tuning", planned.steps, "steps");
  std::int64_t tokens = 0;
  training::Callbacks callbacks;
  callbacks.stepped = [&](const training::StepRecord& step) { tokens = step.tokens; };
  callbacks.measure = [&](std::int64_t step, const model::Parameters& current) {
    if (step == planned.steps) return;  // measured below, as the stage's end
    State now = state;
    now.current = current;
    now.tokens_trained += tokens;
    measure(workshop, now, {ordinal, "step", step}, edit, facts, record);
  };
  callbacks.cancelled = stop_requested;
  callbacks.progress = [&](std::int64_t step, std::int64_t) { progress.set(step); };
  const auto decisions = decisions_of(workshop, state, options.tuning);
  const std::string trained = trained_weights(state.current, decisions, options.tuning);
  training::TrainingResult result = training::train(workshop.model().config, state.current, data, decisions, options,
                                                    workshop.cell().seed, callbacks);
  progress.finish();
  state.current = result.parameters;
  state.current_beyond_updates = true;
  state.tokens_trained += result.dose.tokens;
  const plugin::MeasuringPoint end{ordinal, "finetuned", result.dose.steps};
  measure(workshop, state, end, edit, facts, record);
  score(workshop, *task, state, end, edit, record);
  record_dose(result, trained, edit, ordinal, record);
}

}  // namespace palimpsest::experiment
