#include "training/loop.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.hpp"
#include "model/decoder.hpp"
#include "training/kept_pages.hpp"

namespace palimpsest::training {
namespace {

// A pass of a step or of a validation: its rows and what weighs them.
struct Chunk {
  std::vector<std::int64_t> rows;
  Batch batch;               // of the causal loss
  std::int64_t counted = 0;  // labels that count; rows where the task has a loss of its own
  std::int64_t tokens = 0;
};

Chunk make_chunk(std::span<const Example> examples, std::span<const std::int64_t> rows, bool own_loss) {
  Chunk chunk{{rows.begin(), rows.end()}, {}, 0, 0};
  if (own_loss) {
    chunk.counted = static_cast<std::int64_t>(rows.size());
    for (const std::int64_t row : rows) {
      chunk.tokens += static_cast<std::int64_t>(examples[static_cast<std::size_t>(row)].token_ids.size());
    }
    return chunk;
  }
  chunk.batch = make_batch(examples, rows);
  chunk.counted = chunk.batch.counted;
  chunk.tokens = chunk.batch.tokens;
  return chunk;
}

// The mean loss of the chunk, a scalar.
at::Tensor chunk_loss(const model::Config& config, const model::Parameters& weights, const model::Overrides& overrides,
                      const Chunk& chunk, bool validation, bool recompute_layers, const RowLoss& own) {
  if (own) return own(weights, overrides, validation, chunk.rows);
  return model::causal_loss(config, weights, chunk.batch.token_ids, chunk.batch.lengths, chunk.batch.labels, overrides,
                            recompute_layers);
}

struct LossSum {
  double loss = 0;  // over all that count
  std::int64_t counted = 0;
  std::int64_t tokens = 0;
};

class Run {
 public:
  Run(const model::Config& config, const model::Parameters& entering, const TrainingData& data,
      const std::vector<Decision>& decisions, const TrainingOptions& options, std::uint64_t seed,
      const Callbacks& callbacks)
      : config_(config),
        entering_(entering),
        data_(data),
        options_(options),
        callbacks_(callbacks),
        plan_(plan(options, static_cast<std::int64_t>(data.train.size()))),
        seed_(seed),
        order_(static_cast<std::int64_t>(data.train.size()), options.batch_size * options.accumulation, seed),
        stopping_(options.stopping) {
    check(decisions);
    take_weights(decisions);
  }

  TrainingResult go() {
    const KeptPagesScope kept_pages;
    AdamW optimizer(trained_, options_.adamw, {seed_, trained_names_});
    evaluate(0);
    measure(0, false);
    std::int64_t step = 0;
    while (step < plan_.steps) {
      ++step;
      update(step, optimizer);
      const bool last = step == plan_.steps;
      std::optional<StopReason> stop;
      if (last || (options_.evaluate_every > 0 && step % options_.evaluate_every == 0)) stop = evaluate(step);
      if (callbacks_.stepped) callbacks_.stepped(result_.steps.back());
      if (callbacks_.progress) callbacks_.progress(step, plan_.steps);
      measure(step, stop.has_value());
      if (stop && !last) {
        result_.stop = *stop;
        break;
      }
    }
    finish(step);
    return std::move(result_);
  }

 private:
  void check(const std::vector<Decision>& decisions) const {
    if (decisions.size() != entering_.size()) {
      fail(ErrorCode::kInvalidArgument, "training: ", decisions.size(), " decisions for ", entering_.size(),
           " parameters; expected one each");
    }
    if (!(options_.clip_norm >= 0) || options_.evaluate_every < 0 || options_.validation_blocks < 0) {
      fail(ErrorCode::kInvalidArgument, "training: found clip_norm ", options_.clip_norm, ", evaluate_every ",
           options_.evaluate_every, ", validation_blocks ", options_.validation_blocks, "; expected 0 or more");
    }
    learning_rate(options_.schedule, 1, plan_.steps);
    if (data_.validation.empty() && (options_.stopping.any() || options_.evaluate_every > 0)) {
      fail(ErrorCode::kInvalidArgument,
           "training: evaluate_every or a stopping rule needs validation rows, and there are none");
    }
    if (options_.stopping.any() && options_.evaluate_every == 0) {
      fail(ErrorCode::kInvalidArgument, "training: a stopping rule is on and evaluate_every is 0; expected above 0");
    }
    if (!data_.loss) {
      check_examples(data_.train, "training data", config_.vocabulary, config_.max_positions);
      check_examples(data_.validation, "validation data", config_.vocabulary, config_.max_positions);
    }
    check_matmul(options_.matmul);
  }

  void take_weights(const std::vector<Decision>& decisions) {
    std::vector<at::Tensor> tensors, views;
    for (std::size_t i = 0; i < entering_.size(); ++i) {
      const model::ParameterInfo& info = entering_.infos()[i];
      const at::Tensor& weight = entering_[i];
      const bool narrow = weight.scalar_type() == at::kBFloat16;
      if (weight.scalar_type() != at::kFloat && !narrow) {
        fail(ErrorCode::kInvalidArgument, "training: ", info.name, " is held as ", at::toString(weight.scalar_type()),
             "; open the model in float32 or bfloat16");
      }
      if (!narrow && options_.masters == Masters::kNone) {
        fail(ErrorCode::kInvalidArgument, "training: masters = none is for a model in bfloat16, and ", info.name,
             " is held in float32; set model.dtype = \"bfloat16\", or masters = \"float32\"");
      }
      if (narrow && options_.tuning.method != TuningMethod::kFull) {
        fail(ErrorCode::kUnsupported, "training: ", name_of(options_.tuning.method), " of a model in bfloat16 (",
             info.name, "); set model.dtype = \"float32\", or tune in full");
      }
      if (narrow && !decisions[i].projections.empty()) {
        fail(ErrorCode::kUnsupported, "training: ", info.name, " is projected and held in bfloat16, whose rounding ",
             "would lead back into the directions; set model.dtype = \"float32\"");
      }
      if (decisions[i].frozen && !decisions[i].projections.empty()) {
        fail(ErrorCode::kInvalidArgument, "training: ", info.name, " is frozen and projected; expected one of both");
      }
      if (decisions[i].frozen || options_.tuning.method != TuningMethod::kFull) {
        tensors.push_back(weight);
        views.push_back(weight);
        continue;
      }
      // torch's own allocations are aligned to 64 bytes, and contiguous here whatever the entering strides. The steps
      // of a small rate would be lost in bfloat16: what is trained is a float32 copy, of which the model sees the
      // rounding, or is rounded stochastically.
      const bool rounded = narrow && options_.masters == Masters::kFloat32;
      const at::ScalarType dtype = rounded ? at::kFloat : weight.scalar_type();
      const at::Tensor copy = at::empty(weight.sizes(), weight.options().dtype(dtype).requires_grad(false));
      copy.copy_(weight.detach());
      views.push_back(rounded ? weight : copy.detach());
      copy.requires_grad_(true);
      tensors.push_back(rounded ? weight.detach() : copy);
      if (rounded) rounded_.emplace_back(i, trained_.size());
      trained_.push_back(copy);
      trained_names_.push_back(info.name);
      if (!decisions[i].projections.empty()) {
        guards_.emplace_back(trained_.size() - 1, DisplacementGuard(info.name, weight, decisions[i].projections));
      }
    }
    if (options_.tuning.method != TuningMethod::kFull) {
      adapters_.emplace(entering_, decisions, options_.tuning, seed_);
      trained_ = adapters_->trained();
      trained_names_ = adapters_->names();
    }
    if (trained_.empty()) {
      fail(ErrorCode::kInvalidArgument, "training: all ", entering_.size(),
           " parameters are frozen, so there is nothing to train");
    }
    graph_ = model::Parameters(entering_.infos(), std::move(tensors));
    current_ = model::Parameters(entering_.infos(), std::move(views));
  }

  void check_cancelled() const {
    if (callbacks_.cancelled && callbacks_.cancelled()) fail(ErrorCode::kCancelled, "training was stopped on request");
  }

  // Forward and backward of all passes of a step; gradients are those of the mean over all that counts in it.
  LossSum accumulate(std::int64_t step, const std::vector<std::int64_t>& rows) {
    const auto batch_size = static_cast<std::size_t>(options_.batch_size);
    std::vector<Chunk> chunks;
    LossSum sum;
    for (std::size_t begin = 0; begin < rows.size(); begin += batch_size) {
      const std::size_t count = std::min(batch_size, rows.size() - begin);
      chunks.push_back(make_chunk(data_.train, std::span(rows).subspan(begin, count), bool(data_.loss)));
      sum.counted += chunks.back().counted;
      sum.tokens += chunks.back().tokens;
    }
    const c10::AutoGradMode grad_mode(true);
    const ArithmeticScope arithmetic(options_.precision, options_.matmul);
    for (const Chunk& chunk : chunks) {
      check_cancelled();
      model::Overrides overrides = adapters_ ? adapters_->overrides() : model::Overrides{};
      for (const auto& [place, trained] : rounded_) {
        overrides[entering_.infos()[place].name].dense = trained_[trained].to(at::kBFloat16);
      }
      const at::Tensor loss =
          chunk_loss(config_, graph_, overrides, chunk, false, options_.activation_checkpointing, data_.loss);
      const auto value = loss.item<double>();
      if (!std::isfinite(value)) {
        fail(ErrorCode::kNumeric, "training: the loss of step ", step, " is ", value,
             "; lower the learning rate, or look at the weights that enter fine-tuning");
      }
      const double share = static_cast<double>(chunk.counted) / static_cast<double>(sum.counted);
      loss.backward(at::full({}, share, loss.options().requires_grad(false)));
      sum.loss += value * static_cast<double>(chunk.counted);
    }
    return sum;
  }

  void update(std::int64_t step, AdamW& optimizer) {
    const std::vector<std::int64_t> rows = order_.step(step);
    const LossSum sum = accumulate(step, rows);
    const double norm = optimizer.gradient_norm();
    if (!std::isfinite(norm)) {
      for (std::size_t i = 0; i < trained_.size(); ++i) {
        const at::Tensor& gradient = trained_[i].grad();
        if (!gradient.defined() || at::isfinite(gradient).all().item<bool>()) continue;
        fail(ErrorCode::kNumeric, "training: the gradient of ", trained_names_[i], " at step ", step,
             " holds NaN or infinity; lower the learning rate");
      }
      fail(ErrorCode::kNumeric, "training: the norm of the gradients of step ", step, " is ", norm,
           "; lower the learning rate");
    }
    const double rate = learning_rate(options_.schedule, step, plan_.steps);
    optimizer.step(rate, clip_divisor(norm, options_.clip_norm));
    optimizer.clear_gradients();
    for (const auto& [place, guard] : guards_) guard.apply(trained_[place]);
    if (adapters_) adapters_->stepped();
    merged_ = false;
    rows_ += static_cast<std::int64_t>(rows.size());
    tokens_ += sum.tokens;
    result_.steps.push_back({.step = step,
                             .learning_rate = rate,
                             .loss = sum.loss / static_cast<double>(sum.counted),
                             .gradient_norm = norm,
                             .tokens = tokens_});
  }

  std::optional<StopReason> evaluate(std::int64_t step) {
    if (data_.validation.empty()) return std::nullopt;
    check_cancelled();
    std::span<const Example> examples = data_.validation;
    if (options_.validation_blocks > 0) {
      examples = examples.first(std::min(examples.size(), static_cast<std::size_t>(options_.validation_blocks)));
    }
    const double loss = validation_loss(config_, current(), examples, options_.batch_size, options_.precision,
                                        options_.matmul, data_.loss);
    if (!std::isfinite(loss)) {
      fail(ErrorCode::kNumeric, "training: the validation loss after step ", step, " is ", loss,
           step == 0 ? "; look at the weights that enter fine-tuning" : "; lower the learning rate");
    }
    result_.evaluations.push_back({step, loss});
    return stopping_.see(loss);
  }

  void measure(std::int64_t step, bool always) {
    if (!always && !std::binary_search(plan_.measured.begin(), plan_.measured.end(), step)) return;
    check_cancelled();
    result_.measured.push_back(step);
    if (callbacks_.measure) callbacks_.measure(step, current());
  }

  // The weights as they are now. Those of adapters are merged into copies, and those held in bfloat16 rounded, once a
  // step that anybody looks at.
  const model::Parameters& current() {
    if (adapters_ && !merged_) current_ = adapters_->merged();
    if (!merged_) {
      const c10::NoGradGuard no_grad;
      for (const auto& [place, trained] : rounded_) {
        current_ = current_.with(entering_.infos()[place].name, trained_[trained].detach().to(at::kBFloat16));
      }
    }
    merged_ = true;
    return current_;
  }

  void finish(std::int64_t steps) {
    Dose& dose = result_.dose;
    current();
    for (const at::Tensor& weight : trained_) dose.trained += weight.numel();
    dose.steps = steps;
    dose.tokens = tokens_;
    dose.epochs = static_cast<double>(rows_) / static_cast<double>(data_.train.size());
    if (!result_.evaluations.empty()) {
      dose.validation_before = result_.evaluations.front().validation_loss;
      dose.validation_after = result_.evaluations.back().validation_loss;
    }
    struct Squares {
      double change = 0, weight = 0;
    };
    std::map<std::int64_t, Squares> layers;
    for (std::size_t i = 0; i < entering_.size(); ++i) {
      const double weight = norm_of(entering_[i].to(at::kFloat));
      const bool frozen = current_[i].is_same(entering_[i]);
      const double change = frozen ? 0 : norm_of(current_[i].to(at::kFloat) - entering_[i].detach().to(at::kFloat));
      dose.parameters.push_back(change == 0 ? 0 : change / weight);
      Squares& layer = layers[entering_.infos()[i].layer];
      layer.change += change * change;
      layer.weight += weight * weight;
    }
    for (const auto& [layer, squares] : layers) {
      dose.layers.push_back({layer, squares.change == 0 ? 0 : std::sqrt(squares.change / squares.weight)});
    }
    result_.parameters = current_;
  }

  const model::Config& config_;
  const model::Parameters& entering_;
  const TrainingData& data_;
  const TrainingOptions& options_;
  const Callbacks& callbacks_;
  TrainingPlan plan_;
  std::uint64_t seed_;
  BatchOrder order_;
  StoppingRule stopping_;
  std::vector<at::Tensor> trained_;
  std::vector<std::string> trained_names_;
  std::vector<std::pair<std::size_t, DisplacementGuard>> guards_;  // by place in trained_
  std::vector<std::pair<std::size_t, std::size_t>> rounded_;       // with masters: place in entering_, in trained_
  std::optional<Adapters> adapters_;
  model::Parameters graph_;    // trained ones require grad; with adapters none
  model::Parameters current_;  // the same weights without graph, or the merged ones: through current()
  bool merged_ = false;        // current_ is of this step
  std::int64_t rows_ = 0, tokens_ = 0;
  TrainingResult result_;
};

}  // namespace

TrainingResult train(const model::Config& config, const model::Parameters& entering, const TrainingData& data,
                     const std::vector<Decision>& decisions, const TrainingOptions& options, std::uint64_t seed,
                     const Callbacks& callbacks) {
  return Run(config, entering, data, decisions, options, seed, callbacks).go();
}

double validation_loss(const model::Config& config, const model::Parameters& parameters,
                       std::span<const Example> examples, std::int64_t batch_size, Precision precision, Matmul matmul,
                       const RowLoss& loss) {
  if (examples.empty() || batch_size < 1) {
    fail(ErrorCode::kInvalidArgument, "validation loss: found ", examples.size(), " rows in batches of ", batch_size,
         "; expected 1 or more of each");
  }
  const c10::NoGradGuard no_grad;
  const ArithmeticScope arithmetic(precision, matmul);
  double sum = 0;
  std::int64_t counted = 0;
  for (std::size_t begin = 0; begin < examples.size(); begin += static_cast<std::size_t>(batch_size)) {
    const std::size_t count = std::min(static_cast<std::size_t>(batch_size), examples.size() - begin);
    std::vector<std::int64_t> rows(count);
    std::iota(rows.begin(), rows.end(), static_cast<std::int64_t>(begin));
    const Chunk chunk = make_chunk(examples, rows, bool(loss));
    sum += chunk_loss(config, parameters, {}, chunk, true, false, loss).item<double>() *
           static_cast<double>(chunk.counted);
    counted += chunk.counted;
  }
  return sum / static_cast<double>(counted);
}

TrainingPlan plan(const TrainingOptions& options, std::int64_t training_rows) {
  if (options.batch_size < 1 || options.accumulation < 1) {
    fail(ErrorCode::kInvalidArgument, "training: found batch_size ", options.batch_size, " and accumulation ",
         options.accumulation, "; expected 1 or more");
  }
  TrainingPlan made;
  made.steps_per_epoch = BatchOrder(training_rows, options.batch_size * options.accumulation, 0).steps_per_epoch();
  made.steps = planned_steps(options.max_steps, options.epochs, made.steps_per_epoch);
  made.measured = measuring_steps(options.measure, made.steps, made.steps_per_epoch);
  return made;
}

}  // namespace palimpsest::training
