#include "model/head.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "model/kernels.hpp"
#include "model/product.hpp"

namespace palimpsest::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kIgnored = -100;
// Elements of the logits held at once (32 MiB of float32): enough rows for the product to run at full rate.
constexpr std::int64_t kChunkElements = std::int64_t{1} << 23;
// For training four times that: every chunk reads the whole weight and adds to its whole gradient.
constexpr std::int64_t kTrainingChunkElements = std::int64_t{1} << 25;

// Products in the autocast dtype if autocast is on, sums and softmax in float32, or all in float64 for float64 inputs.
struct Dtypes {
  at::ScalarType product;
  at::ScalarType sum;
  bool rounded = false;  // factors are rounded to bfloat16 first: a product in it by float32 (model/product)

  at::Tensor factor(const at::Tensor& x) const { return (rounded ? x.to(at::kBFloat16) : x).to(product); }
};

Dtypes dtypes_of(const at::Tensor& x) {
  const at::DeviceType device = x.device().type();
  if (x.scalar_type() == at::kDouble) return {at::kDouble, at::kDouble};
  if (is_to_be_widened(x)) return {at::kFloat, at::kFloat, true};
  if (at::autocast::is_autocast_enabled(device)) return {at::autocast::get_autocast_dtype(device), at::kFloat};
  return {x.scalar_type(), at::kFloat};
}

// Takes the logits of a chunk of rows at a time into buffers that are made once.
class ChunkedLogits {
 public:
  // `bias` may be undefined or empty: none.
  ChunkedLogits(std::vector<at::Tensor> inputs, std::vector<at::Tensor> weights, const at::Tensor& bias, Dtypes dtypes,
                std::int64_t chunk_elements = kChunkElements)
      : inputs_(std::move(inputs)), weights_(std::move(weights)), dtypes_(dtypes) {
    if (bias.defined() && bias.numel() > 0) bias_ = dtypes.factor(bias);
    rows_ = inputs_.front().size(0);
    const std::int64_t vocabulary = weights_.front().size(0);
    const std::int64_t most =
        std::clamp<std::int64_t>(chunk_elements / vocabulary, 1, std::max<std::int64_t>(rows_, 1));
    const std::int64_t chunks = std::max<std::int64_t>((rows_ + most - 1) / most, 1);
    chunk_ = std::max<std::int64_t>((rows_ + chunks - 1) / chunks, 1);  // of like size: a small product is slow
    product_ = at::empty({chunk_, vocabulary}, inputs_.front().options().dtype(dtypes_.product));
  }

  std::int64_t rows() const { return rows_; }
  std::int64_t chunk() const { return chunk_; }

  // Logits of rows [begin, begin + count), in the dtype of products; valid until the next call, the caller may
  // overwrite them.
  at::Tensor products(std::int64_t begin, std::int64_t count) {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);  // the types are chosen
    at::Tensor out = product_.narrow(0, 0, count);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const at::Tensor x = inputs_[i].narrow(0, begin, count);
      if (i == 0 && bias_.defined()) {
        at::addmm_out(out, bias_, x, weights_[i].t());
      } else if (i == 0) {
        at::mm_out(out, x, weights_[i].t());
      } else {
        out.addmm_(x, weights_[i].t());
      }
    }
    if (dtypes_.rounded) out.copy_(out.to(at::kBFloat16));
    return out;
  }

  // The same in the dtype of sums.
  at::Tensor logits(std::int64_t begin, std::int64_t count) {
    const at::Tensor out = products(begin, count);
    if (dtypes_.product == dtypes_.sum) return out;
    if (!wide_.defined()) wide_ = at::empty(product_.sizes(), product_.options().dtype(dtypes_.sum));
    return wide_.narrow(0, 0, count).copy_(out);
  }

  // The gradients that flow from d loss / d logits of these rows: of inputs in their rows, of weights and bias added up
  // from a first chunk (begin 0) on. Undefined tensors are not wanted.
  void backward(const at::Tensor& d_logits, std::int64_t begin, std::vector<at::Tensor>& d_inputs,
                std::vector<at::Tensor>& d_weights, at::Tensor& d_bias) {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    const std::int64_t count = d_logits.size(0);
    if (d_bias.defined()) {
      const at::Tensor part = d_logits.sum(0, false, dtypes_.sum);
      begin == 0 ? d_bias.copy_(part) : d_bias.add_(part);
    }
    at::Tensor d = d_logits;
    if (d.scalar_type() != dtypes_.product) d = product_.narrow(0, 0, count).copy_(d_logits);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (d_inputs[i].defined()) {
        at::Tensor rows = d_inputs[i].narrow(0, begin, count);
        if (rows.scalar_type() == d.scalar_type()) {
          at::mm_out(rows, d, weights_[i]);
        } else {
          rows.copy_(at::mm(d, weights_[i]));
        }
      }
      if (d_weights[i].defined()) {
        const at::Tensor x = inputs_[i].narrow(0, begin, count);
        if (d_weights[i].scalar_type() != d.scalar_type()) {
          const at::Tensor part = at::mm(d.t(), x);
          begin == 0 ? d_weights[i].copy_(part) : d_weights[i].add_(part);
        } else if (begin == 0) {
          at::mm_out(d_weights[i], d.t(), x);
        } else {
          d_weights[i].addmm_(d.t(), x);
        }
      }
    }
  }

 private:
  std::vector<at::Tensor> inputs_, weights_;
  at::Tensor bias_;
  Dtypes dtypes_;
  std::int64_t rows_ = 0, chunk_ = 1;
  at::Tensor product_, wide_;
};

void check_targets(const at::Tensor& targets, std::int64_t vocabulary, std::string_view what) {
  if (targets.numel() == 0) return;
  const std::int64_t least = targets.min().item<std::int64_t>(), most = targets.max().item<std::int64_t>();
  if (least < 0 || most >= vocabulary) {
    fail(ErrorCode::kInvalidArgument, what, " ", least < 0 ? least : most, " is outside the vocabulary of ",
         vocabulary);
  }
}

void check_bias(const at::Tensor& bias, const at::Tensor& weight) {
  if (!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0))) return;
  fail(ErrorCode::kInvalidArgument, "head: expected a bias [", weight.size(0), "], found ", bias.sizes());
}

void check_shapes(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& targets) {
  if (x.dim() != 2 || weight.dim() != 2 || targets.dim() != 1 || x.size(1) != weight.size(1) ||
      x.size(0) != targets.size(0)) {
    fail(ErrorCode::kInvalidArgument, "head: expected [n, k], [vocabulary, k] and [n], found ", x.sizes(), ", ",
         weight.sizes(), " and ", targets.sizes());
  }
}

// Forward: log-probabilities and, for the backward, the log-sum-exp of every row.
class TargetLogprobs : public torch::autograd::Function<TargetLogprobs> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& x2, const at::Tensor& weight2, const at::Tensor& bias,
                            const at::Tensor& targets) {
    const Dtypes dtypes = dtypes_of(x);
    ChunkedLogits logits = make(x, weight, x2, weight2, bias, dtypes);
    const at::Tensor logprobs = at::empty({logits.rows()}, x.options().dtype(dtypes.sum));
    const at::Tensor normaliser = at::empty_like(logprobs);
    for (std::int64_t begin = 0; begin < logits.rows(); begin += logits.chunk()) {
      const std::int64_t count = std::min(logits.chunk(), logits.rows() - begin);
      const at::Tensor chunk = logits.logits(begin, count);
      const at::Tensor picked = chunk.gather(1, targets.narrow(0, begin, count).unsqueeze(1)).squeeze(1);
      const at::Tensor most = chunk.amax(1, true);
      const at::Tensor sum = chunk.sub_(most).exp_().sum(1).log_().add_(most.squeeze(1));
      normaliser.narrow(0, begin, count).copy_(sum);
      logprobs.narrow(0, begin, count).copy_(picked - sum);
    }
    context->save_for_backward({x, weight, x2, weight2, bias, targets, normaliser});
    context->saved_data["product"] = static_cast<std::int64_t>(dtypes.product);
    context->saved_data["sum"] = static_cast<std::int64_t>(dtypes.sum);
    context->saved_data["rounded"] = dtypes.rounded;
    return logprobs;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &bias = saved[4], &targets = saved[5], &normaliser = saved[6];
    const Dtypes dtypes{static_cast<at::ScalarType>(context->saved_data["product"].toInt()),
                        static_cast<at::ScalarType>(context->saved_data["sum"].toInt()),
                        context->saved_data["rounded"].toBool()};
    ChunkedLogits logits = make(saved[0], saved[1], saved[2], saved[3], bias, dtypes);
    const at::Tensor d_logprobs = gradients[0].to(dtypes.sum).contiguous();
    std::vector<at::Tensor> d_inputs, d_weights;
    for (std::size_t term = 0; term < (saved[3].numel() > 0 ? 2U : 1U); ++term) {
      const at::Tensor &x = saved[2 * term], &weight = saved[2 * term + 1];
      d_inputs.push_back(context->needs_input_grad(2 * term) ? at::empty(x.sizes(), x.options()) : at::Tensor());
      d_weights.push_back(context->needs_input_grad(2 * term + 1)
                              ? at::zeros(weight.sizes(), weight.options().dtype(dtypes.sum))
                              : at::Tensor());
    }
    const bool wants_bias = bias.numel() > 0 && context->needs_input_grad(4);
    at::Tensor d_bias = wants_bias ? at::zeros(bias.sizes(), bias.options().dtype(dtypes.sum)) : at::Tensor();
    for (std::int64_t begin = 0; begin < logits.rows(); begin += logits.chunk()) {
      const std::int64_t count = std::min(logits.chunk(), logits.rows() - begin);
      const at::Tensor d = d_logprobs.narrow(0, begin, count).unsqueeze(1);
      at::Tensor chunk = logits.logits(begin, count);
      chunk.sub_(normaliser.narrow(0, begin, count).unsqueeze(1)).exp_().mul_(d.neg());
      chunk.scatter_add_(1, targets.narrow(0, begin, count).unsqueeze(1), d);
      logits.backward(chunk, begin, d_inputs, d_weights, d_bias);
    }
    variable_list result(6);
    for (std::size_t term = 0; term < d_inputs.size(); ++term) {
      result[2 * term] = d_inputs[term];
      if (d_weights[term].defined()) result[2 * term + 1] = d_weights[term].to(saved[2 * term + 1].scalar_type());
    }
    if (wants_bias) result[4] = d_bias.to(bias.scalar_type());
    return result;
  }

 private:
  static ChunkedLogits make(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& x2,
                            const at::Tensor& weight2, const at::Tensor& bias, Dtypes dtypes) {
    std::vector<at::Tensor> inputs = {dtypes.factor(x)}, weights = {dtypes.factor(weight)};
    if (weight2.numel() > 0) {
      inputs.push_back(dtypes.factor(x2));
      weights.push_back(dtypes.factor(weight2));
    }
    return ChunkedLogits(std::move(inputs), std::move(weights), bias, dtypes);
  }
};

struct LossAndGradients {
  at::Tensor loss, d_hidden, d_weight, d_bias;
};

struct Wanted {
  bool hidden = false, weight = false, bias = false;
};

// Sum of log p(target) over the rows of a chunk of logits; these become the gradient of -share times the sum, if
// wanted.
double chunk_logprob(at::Tensor& logits, const at::Tensor& targets, double share, bool want_gradient) {
  const std::int64_t vocabulary = logits.size(1), count = logits.size(0);
  const at::Tensor logprobs = at::empty({count}, at::kFloat);
  const std::int64_t* target = targets.const_data_ptr<std::int64_t>();
  float* outs = logprobs.mutable_data_ptr<float>();
  const auto run = [&](auto* rows) {
    at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> scratch(want_gradient ? static_cast<std::size_t>(vocabulary) : 0);
      for (std::int64_t row = begin; row < end; ++row) {
        outs[row] = kernels::target_logprob(rows + row * vocabulary, vocabulary, target[row], static_cast<float>(share),
                                            want_gradient ? scratch.data() : nullptr);
      }
    });
  };
  if (logits.scalar_type() == at::kBFloat16) {
    run(static_cast<kernels::Bfloat16*>(logits.mutable_data_ptr()));
  } else {
    run(logits.mutable_data_ptr<float>());
  }
  return logprobs.sum(at::kDouble).item<double>();
}

// The same by tensor operations: for other devices and dtypes.
double chunk_logprob_anywhere(at::Tensor& logits, const at::Tensor& targets, double share, bool want_gradient) {
  const at::Tensor target = targets.unsqueeze(1);
  at::Tensor logprobs = at::log_softmax(logits, 1);
  const auto sum = logprobs.gather(1, target).sum(at::kDouble).item<double>();
  if (want_gradient) {
    logprobs.exp_().mul_(share);
    logprobs.scatter_add_(1, target, at::full({target.size(0), 1}, -share, logprobs.options()));
    logits = logprobs;
  }
  return sum;
}

LossAndGradients chunked_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& bias,
                                       const at::Tensor& labels, const Wanted& wanted) {
  const Dtypes dtypes = dtypes_of(hidden);
  const bool fast = hidden.device().is_cpu() && (dtypes.product == at::kFloat || dtypes.product == at::kBFloat16);
  ChunkedLogits logits({dtypes.factor(hidden)}, {dtypes.factor(weight)}, bias, dtypes, kTrainingChunkElements);
  LossAndGradients result;
  std::vector<at::Tensor> d_inputs(1), d_weights(1);
  at::Tensor d_bias;
  if (wanted.hidden) d_inputs[0] = at::empty(hidden.sizes(), hidden.options());
  if (wanted.weight) d_weights[0] = at::empty(weight.sizes(), weight.options().dtype(dtypes.sum));
  if (wanted.bias) d_bias = at::empty(bias.sizes(), bias.options().dtype(dtypes.sum));
  const bool want_gradient = wanted.hidden || wanted.weight || wanted.bias;
  const double share = 1.0 / static_cast<double>(logits.rows());
  double total = 0;
  for (std::int64_t begin = 0; begin < logits.rows(); begin += logits.chunk()) {
    const std::int64_t count = std::min(logits.chunk(), logits.rows() - begin);
    const at::Tensor targets = labels.narrow(0, begin, count);
    at::Tensor chunk = fast ? logits.products(begin, count) : logits.logits(begin, count);
    total -= fast ? chunk_logprob(chunk, targets, share, want_gradient)
                  : chunk_logprob_anywhere(chunk, targets, share, want_gradient);
    if (want_gradient) logits.backward(chunk, begin, d_inputs, d_weights, d_bias);
  }
  result.loss = at::full({}, total * share, hidden.options().dtype(dtypes.sum).requires_grad(false));
  result.d_hidden = d_inputs[0];
  if (wanted.weight) result.d_weight = d_weights[0].to(weight.scalar_type());
  if (wanted.bias) result.d_bias = d_bias.to(bias.scalar_type());
  return result;
}

class CrossEntropy : public torch::autograd::Function<CrossEntropy> {
 public:
  // An empty bias is none.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& labels) {
    const Wanted wanted{.hidden = context->needs_input_grad(0),
                        .weight = context->needs_input_grad(1),
                        .bias = bias.numel() > 0 && context->needs_input_grad(2)};
    LossAndGradients result = chunked_cross_entropy(hidden, weight, bias, labels, wanted);
    context->saved_data["d_hidden"] = result.d_hidden;
    context->saved_data["d_weight"] = result.d_weight;
    context->saved_data["d_bias"] = result.d_bias;
    return result.loss;
  }

  // The gradients made in the forward are scaled in place and handed over, so this runs once.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor scale = gradients[0];
    // As a number, not in the gradient's dtype: rounded to bfloat16, a chunk's share would weigh it wrongly.
    const double share = scale.item<double>();
    variable_list result(4);
    const std::array<const char*, 3> names = {"d_hidden", "d_weight", "d_bias"};
    for (std::size_t i = 0; i < names.size(); ++i) {
      auto& slot = context->saved_data[names[i]];
      if (slot.isNone() || !slot.toTensor().defined()) {
        if (context->needs_input_grad(i)) {
          fail(ErrorCode::kInvalidArgument, "cross_entropy: backward was called twice for one loss");
        }
        continue;
      }
      at::Tensor gradient = slot.toTensor();
      slot = at::Tensor();
      result[i] = share == 1.0 ? gradient : gradient.mul_(share);
    }
    return result;
  }
};

}  // namespace

at::Tensor target_logprobs(const std::vector<HeadTerm>& terms, const at::Tensor& targets, const at::Tensor& bias) {
  if (terms.empty() || terms.size() > 2) {
    fail(ErrorCode::kInvalidArgument, "target_logprobs takes one or two terms, found ", terms.size());
  }
  for (const HeadTerm& term : terms) check_shapes(term.x, term.weight, targets);
  check_bias(bias, terms.front().weight);
  check_targets(targets, terms.front().weight.size(0), "target token");
  // Custom functions take no undefined tensors: an empty one stands for a term that is not there.
  const at::Tensor none = at::empty({0}, terms[0].x.options());
  const HeadTerm second = terms.size() == 2 ? terms[1] : HeadTerm{none, none};
  return TargetLogprobs::apply(terms[0].x, terms[0].weight, second.x, second.weight, bias.defined() ? bias : none,
                               targets.to(terms[0].x.device()));
}

at::Tensor cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                         const at::Tensor& bias) {
  check_shapes(hidden, weight, labels);
  check_bias(bias, weight);
  const at::Tensor counted = (labels != kIgnored).nonzero().squeeze(1);
  if (counted.numel() == 0) {
    fail(ErrorCode::kInvalidArgument, "cross_entropy: none of the ", labels.numel(), " labels counts (all are ",
         kIgnored, ")");
  }
  const bool all = counted.numel() == labels.numel();
  const at::Tensor used = (all ? labels : labels.index_select(0, counted)).to(hidden.device()).contiguous();
  check_targets(used, weight.size(0), "label");
  const at::Tensor rows = all ? hidden : hidden.index_select(0, counted.to(hidden.device()));
  const at::Tensor added = bias.defined() ? bias : at::empty({0}, weight.options().requires_grad(false));
  if (at::GradMode::is_enabled() && (rows.requires_grad() || weight.requires_grad() || added.requires_grad())) {
    return CrossEntropy::apply(rows, weight, added, used);
  }
  return chunked_cross_entropy(rows, weight, added, used, {}).loss;
}

}  // namespace palimpsest::model
