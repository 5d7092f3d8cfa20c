// Fine-tuning: the host's own loop over blocks or examples, from entering weights to tuned ones.
//
// The entering weights are never written: trained ones are copied once, or, with adapters, merged into a copy wherever
// they are looked at; frozen ones are the very same tensors in the result. The loop knows neither plugins nor files.
// The same arguments and number of threads give the same bits; nothing of the result depends on time. One call, one
// thread; torch's settings are as before when it returns.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "model/config.hpp"
#include "model/parameters.hpp"
#include "training/adapters.hpp"
#include "training/arithmetic.hpp"
#include "training/batches.hpp"
#include "training/decision.hpp"
#include "training/measure_plan.hpp"
#include "training/memory.hpp"
#include "training/optimizer.hpp"
#include "training/schedule.hpp"
#include "training/stopping.hpp"

namespace palimpsest::training {

struct TrainingOptions {
  TuningOptions tuning;
  AdamWOptions adamw;
  Schedule schedule;
  std::int64_t batch_size = 8;    // examples per forward and backward pass
  std::int64_t accumulation = 1;  // passes per step; the step's loss is the mean over all their labels (or rows)
  std::int64_t max_steps = 100;   // planned_steps()
  double epochs = 0;
  double clip_norm = 1;  // 0: off
  StoppingOptions stopping;
  std::int64_t evaluate_every = 0;     // validation loss after every so many steps; 0: before and after only
  std::int64_t validation_blocks = 0;  // use the first so many validation rows; 0: all
  MeasureOptions measure;
  Precision precision = Precision::kFloat32;
  Matmul matmul = Matmul::kMkl;
  bool activation_checkpointing = false;  // recompute_layers of the causal loss; a task's own loss sees to its own
  Masters masters = Masters::kFloat32;    // what steps of a model in bfloat16 act on
};

// A task's own loss in place of the causal one: the mean over these rows of the training or the validation examples, a
// scalar that keeps its graph down to `weights` and to `adapters`, which stand in place of some of them, while grad
// mode is on.
using RowLoss = std::function<at::Tensor(const model::Parameters& weights, const model::Overrides& adapters,
                                         bool validation, std::span<const std::int64_t> rows)>;

struct TrainingData {
  std::vector<Example> train;
  std::vector<Example> validation;  // may be empty: no validation loss then, and no rule that needs one
  // If set, an example says only how many tokens its row reads, and means are over rows in place of labels.
  RowLoss loss = {};
};

struct StepRecord {
  std::int64_t step;     // from 1
  double learning_rate;  // of this step
  double loss;           // mean over the step's labels (or rows), before its update
  double gradient_norm;  // before clipping
  std::int64_t tokens;   // trained on so far, this step included
};

struct EvaluationRecord {
  std::int64_t step;  // 0: before the first
  double validation_loss;
};

// |W - W_entering| / |W_entering| over all parameters of a layer, frozen ones included.
struct LayerChange {
  std::int64_t layer;  // -1: parameters of no layer (embedding, final norm, head)
  double relative;
};

struct Dose {
  std::int64_t steps = 0;
  std::int64_t tokens = 0;                                    // trained on, padding not counted
  std::int64_t trained = 0;                                   // numbers that the optimiser changes
  double epochs = 0;                                          // passes over the data, as the share of rows taken
  std::optional<double> validation_before, validation_after;  // nats per token
  std::vector<LayerChange> layers;                            // ascending
  std::vector<double> parameters;                             // relative change of each, in their order; 0 where frozen
};

struct TrainingResult {
  model::Parameters parameters;
  std::vector<StepRecord> steps;
  std::vector<EvaluationRecord> evaluations;
  std::vector<std::int64_t> measured;  // the steps after which `measure` was called
  Dose dose;
  StopReason stop = StopReason::kPlanned;
};

struct Callbacks {
  // Called at the steps of measuring_steps(), and after the last step when a run ends early. `current` may share the
  // weights that the next step writes: valid during the call only. Torch's settings are the caller's own.
  std::function<void(std::int64_t step, const model::Parameters& current)> measure;
  std::function<void(std::int64_t step, std::int64_t total)> progress;
  std::function<void(const StepRecord& step)> stepped;  // after each step, before `measure`
  std::function<bool()> cancelled;
};

// `decisions` holds one per parameter, in their order. The seed orders the examples. Throws Error: kInvalidArgument (no
// parameter may change, decisions of another number, weights of another type, options or rows that cannot work),
// kOutOfRange, kUnsupported (check_matmul, adapted(), what bfloat16 does not go with), kNumeric naming the step at
// which the loss or a gradient was not finite, kCancelled, and whatever a callback throws.
TrainingResult train(const model::Config& config, const model::Parameters& entering, const TrainingData& data,
                     const std::vector<Decision>& decisions, const TrainingOptions& options, std::uint64_t seed,
                     const Callbacks& callbacks = {});

// Mean of -log p over all labels of the examples that count, in batches of `batch_size`; with `loss`, the mean of the
// validation rows' own loss.
double validation_loss(const model::Config& config, const model::Parameters& parameters,
                       std::span<const Example> examples, std::int64_t batch_size, Precision precision, Matmul matmul,
                       const RowLoss& loss = {});

// What train() will do: for plans, and for who must know the last step beforehand.
struct TrainingPlan {
  std::int64_t steps = 0;
  std::int64_t steps_per_epoch = 0;
  std::vector<std::int64_t> measured;
};
TrainingPlan plan(const TrainingOptions& options, std::int64_t training_rows);

}  // namespace palimpsest::training
