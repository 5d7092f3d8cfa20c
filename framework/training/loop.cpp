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

struct LossSum {
  double loss = 0;  // over all labels
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
        order_(static_cast<std::int64_t>(data.train.size()), options.batch_size * options.accumulation, seed),
        stopping_(options.stopping) {
    check(decisions);
    take_weights(decisions);
  }

  TrainingResult go() {
    const KeptPagesScope kept_pages;
    AdamW optimizer(trained_, options_.adamw);
    evaluate(0);
    measure(0, false);
    std::int64_t step = 0;
    while (step < plan_.steps) {
      ++step;
      update(step, optimizer);
      const bool last = step == plan_.steps;
      std::optional<StopReason> stop;
      if (last || (options_.evaluate_every > 0 && step % options_.evaluate_every == 0)) stop = evaluate(step);
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
    check_examples(data_.train, "training data", config_.vocabulary, config_.max_positions);
    check_examples(data_.validation, "validation data", config_.vocabulary, config_.max_positions);
    check_matmul(options_.matmul);
  }

  void take_weights(const std::vector<Decision>& decisions) {
    std::vector<at::Tensor> tensors, views;
    for (std::size_t i = 0; i < entering_.size(); ++i) {
      const model::ParameterInfo& info = entering_.infos()[i];
      const at::Tensor& weight = entering_[i];
      if (weight.scalar_type() != at::kFloat) {
        fail(ErrorCode::kInvalidArgument, "training: ", info.name, " is stored as ", at::toString(weight.scalar_type()),
             "; open the model in float32");
      }
      if (decisions[i].frozen) {
        if (!decisions[i].projections.empty()) {
          fail(ErrorCode::kInvalidArgument, "training: ", info.name, " is frozen and projected; expected one of both");
        }
        tensors.push_back(weight);
        views.push_back(weight);
        continue;
      }
      // torch's own allocations are aligned to 64 bytes, and contiguous here whatever the entering strides.
      const at::Tensor copy = at::empty(weight.sizes(), weight.options().requires_grad(false));
      copy.copy_(weight.detach());
      views.push_back(copy.detach());
      tensors.push_back(copy.requires_grad_(true));
      trained_.push_back(copy);
      trained_names_.push_back(info.name);
      if (!decisions[i].projections.empty()) {
        guards_.emplace_back(trained_.size() - 1, DisplacementGuard(info.name, weight, decisions[i].projections));
      }
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

  // Forward and backward of all passes of a step; gradients are those of the mean over all its labels.
  LossSum accumulate(std::int64_t step, const std::vector<std::int64_t>& rows) {
    const auto batch_size = static_cast<std::size_t>(options_.batch_size);
    std::vector<Batch> batches;
    LossSum sum;
    for (std::size_t begin = 0; begin < rows.size(); begin += batch_size) {
      const std::size_t count = std::min(batch_size, rows.size() - begin);
      batches.push_back(make_batch(data_.train, std::span(rows).subspan(begin, count)));
      sum.counted += batches.back().counted;
      sum.tokens += batches.back().tokens;
    }
    const c10::AutoGradMode grad_mode(true);
    const ArithmeticScope arithmetic(options_.precision, options_.matmul);
    for (const Batch& batch : batches) {
      check_cancelled();
      const at::Tensor loss = model::causal_loss(config_, graph_, batch.token_ids, batch.lengths, batch.labels);
      const auto value = loss.item<double>();
      if (!std::isfinite(value)) {
        fail(ErrorCode::kNumeric, "training: the loss of step ", step, " is ", value,
             "; lower the learning rate, or look at the weights that enter fine-tuning");
      }
      const double share = static_cast<double>(batch.counted) / static_cast<double>(sum.counted);
      loss.backward(at::full({}, share, loss.options().requires_grad(false)));
      sum.loss += value * static_cast<double>(batch.counted);
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
    const double loss =
        validation_loss(config_, current_, examples, options_.batch_size, options_.precision, options_.matmul);
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
    if (callbacks_.measure) callbacks_.measure(step, current_);
  }

  void finish(std::int64_t steps) {
    Dose& dose = result_.dose;
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
      const double weight = norm_of(entering_[i]);
      const bool frozen = current_[i].is_same(entering_[i]);
      const double change = frozen ? 0 : norm_of(current_[i] - entering_[i].detach());
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
  BatchOrder order_;
  StoppingRule stopping_;
  std::vector<at::Tensor> trained_;
  std::vector<std::string> trained_names_;
  std::vector<std::pair<std::size_t, DisplacementGuard>> guards_;  // by place in trained_
  model::Parameters graph_;                                        // trained ones require grad
  model::Parameters current_;                                      // the same weights, without graph
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
                       std::span<const Example> examples, std::int64_t batch_size, Precision precision, Matmul matmul) {
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
    const Batch batch = make_batch(examples, rows);
    const at::Tensor loss = model::causal_loss(config, parameters, batch.token_ids, batch.lengths, batch.labels);
    sum += loss.item<double>() * static_cast<double>(batch.counted);
    counted += batch.counted;
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
