#include "model/generation.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "base/error.hpp"
#include "base/rng.hpp"
#include "model/decoder_pass.hpp"
#include "model/token_rows.hpp"

namespace palimpsest::model {
namespace {

using Tokens = std::vector<std::int64_t>;

// Keys and values of all rows in buffers of the final size; new tokens are written behind the old ones. Prompts of
// unequal lengths leave gaps between prompt and continuation, which the mask hides.
class GrowingMemory : public KeyValueMemory {
 public:
  GrowingMemory(std::int64_t layers, std::int64_t slots) : slots_(slots), keys_(layers), values_(layers) {}

  std::pair<at::Tensor, at::Tensor> extend(std::int64_t layer, const at::Tensor& key,
                                           const at::Tensor& value) override {
    const auto place = static_cast<std::size_t>(layer);
    const std::int64_t added = key.size(2);
    for (const auto& [buffer, fresh] : {std::pair{&keys_[place], &key}, std::pair{&values_[place], &value}}) {
      if (!buffer->defined()) {
        *buffer = at::empty({key.size(0), key.size(1), slots_, key.size(3)}, key.options());
      }
      buffer->narrow(2, used_, added).copy_(*fresh);
    }
    return {keys_[place].narrow(2, 0, used_ + added), values_[place].narrow(2, 0, used_ + added)};
  }

  void advance(std::int64_t tokens) { used_ += tokens; }
  std::int64_t used() const { return used_; }

  void keep(const at::Tensor& rows) {
    for (at::Tensor& buffer : keys_) buffer = buffer.index_select(0, rows);
    for (at::Tensor& buffer : values_) buffer = buffer.index_select(0, rows);
  }

 private:
  std::int64_t slots_;
  std::int64_t used_ = 0;
  std::vector<at::Tensor> keys_, values_;
};

void check_options(const Config& config, const std::vector<Tokens>& prompts, const GenerationOptions& options) {
  const auto bad = [](const auto&... what) { fail(ErrorCode::kInvalidArgument, "generation: ", what...); };
  if (options.max_new_tokens < 1) bad("max_new_tokens is ", options.max_new_tokens, ", expected at least 1");
  if (options.batch_rows < 1) bad("batch_rows is ", options.batch_rows, ", expected at least 1");
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) {
    bad("temperature is ", options.temperature, ", expected 0 (greedy) or more");
  }
  if (options.temperature > 0 && options.stream.empty()) bad("a temperature above 0 needs a random stream");
  if (options.top_k < 0) bad("top_k is ", options.top_k, ", expected 0 (all) or more");
  if (!(options.top_p > 0 && options.top_p <= 1)) bad("top_p is ", options.top_p, ", expected above 0 and at most 1");
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].empty()) bad("prompt ", i, " is empty");
    const std::int64_t most = static_cast<std::int64_t>(prompts[i].size()) + options.max_new_tokens;
    if (most > config.max_positions) {
      fail(ErrorCode::kOutOfRange, "generation: prompt ", i, " of ", prompts[i].size(), " tokens and ",
           options.max_new_tokens, " new ones exceed the model's ", config.max_positions,
           " positions: ", config.limit_text());
    }
    for (const std::int64_t id : prompts[i]) {
      if (id < 0 || id >= config.vocabulary) {
        fail(ErrorCode::kOutOfRange, "generation: token ", id, " of prompt ", i, ": the vocabulary is 0 to ",
             config.vocabulary - 1);
      }
    }
  }
}

// One draw from softmax(logits / temperature), cut to the top_k most probable and then to the least set that holds
// top_p.
std::int64_t sample(std::span<const float> logits, const GenerationOptions& options, Rng& rng) {
  const auto count = static_cast<std::int64_t>(logits.size());
  const std::int64_t kept = options.top_k > 0 ? std::min(options.top_k, count) : count;
  Tokens order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto more_probable = [&](std::int64_t a, std::int64_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  if (kept < count || options.top_p < 1) {
    std::partial_sort(order.begin(), order.begin() + kept, order.end(), more_probable);
    order.resize(static_cast<std::size_t>(kept));
  }
  const double most = *std::max_element(logits.begin(), logits.end());
  std::vector<double> weights;
  weights.reserve(order.size());
  for (const std::int64_t id : order) {
    weights.push_back(
        std::exp((static_cast<double>(logits[static_cast<std::size_t>(id)]) - most) / options.temperature));
  }
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (options.top_p < 1) {
    double held = 0;
    std::size_t i = 0;
    while (i < weights.size() && held < options.top_p * total) held += weights[i++];
    weights.resize(i);
    total = held;
  }
  double left = rng.uniform() * total;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[weights.size() - 1];
}

// One token for each row of the logits; `prompts`: which prompt a row is of. `streams`: by prompt; empty when greedy.
Tokens choose(const at::Tensor& logits, const Tokens& prompts, const GenerationOptions& options,
              std::vector<Rng>& streams) {
  const at::Tensor on_cpu = logits.to(at::kCPU, at::kFloat).contiguous();
  const at::Tensor best = on_cpu.argmax(1);
  const std::int64_t rows = on_cpu.size(0), vocabulary = on_cpu.size(1);
  const float* values = on_cpu.const_data_ptr<float>();
  Tokens chosen(best.const_data_ptr<std::int64_t>(), best.const_data_ptr<std::int64_t>() + rows);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t& token = chosen[static_cast<std::size_t>(row)];
    if (!std::isfinite(values[row * vocabulary + token])) {
      fail(ErrorCode::kNumeric, "generation: the logits of a row are not finite");
    }
    if (options.temperature > 0) {
      const auto prompt = static_cast<std::size_t>(prompts[static_cast<std::size_t>(row)]);
      token = sample({values + row * vocabulary, static_cast<std::size_t>(vocabulary)}, options, streams[prompt]);
    }
  }
  return chosen;
}

// The mask of one new token per row over `slots` slots, of which row r's prompt left [lengths[r], width) unused.
// Undefined when there is no such gap.
at::Tensor gap_mask(const Tokens& lengths, std::int64_t width, std::int64_t slots, const at::TensorOptions& options) {
  if (std::all_of(lengths.begin(), lengths.end(), [width](std::int64_t length) { return length == width; })) return {};
  at::Tensor mask = at::zeros({static_cast<std::int64_t>(lengths.size()), 1, 1, slots}, at::kFloat);
  auto entries = mask.accessor<float, 4>();
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    for (std::int64_t slot = lengths[row]; slot < width; ++slot) {
      entries[static_cast<std::int64_t>(row)][0][0][slot] = -std::numeric_limits<float>::infinity();
    }
  }
  return mask.to(options.device(), options.dtype().toScalarType());
}

// Continues prompts[rows...] together and writes into `continuations`.
void generate_batch(const Config& config, const Parameters& parameters, const std::vector<Tokens>& prompts, Tokens rows,
                    const GenerationOptions& options, const Overrides& overrides, std::vector<Rng>& streams,
                    std::vector<Tokens>& continuations) {
  std::vector<std::span<const std::int64_t>> own;
  for (const std::int64_t row : rows) own.emplace_back(prompts[static_cast<std::size_t>(row)]);
  auto [ids, lengths] = right_padded(own);
  const std::int64_t width = ids.size(1);
  ForwardRequest request;
  request.overrides = overrides;
  request.token_ids = ids;
  request.lengths = lengths;
  for (std::size_t i = 0; i < rows.size(); ++i)
    request.logits.push_back({static_cast<std::int64_t>(i), lengths[i] - 1});

  const at::TensorOptions options_of_weights = parameters.at("embed.weight").options();
  const std::int64_t slots = width + options.max_new_tokens - 1;
  GrowingMemory memory(config.layers, slots);
  Past past;
  past.memory = &memory;
  at::Tensor mask = gap_mask(lengths, width, slots, options_of_weights);
  for (std::int64_t step = 0;; ++step) {
    Pass pass(config, parameters, request, &past);
    pass.run();
    const Tokens chosen = choose(pass.result().logits, rows, options, streams);
    memory.advance(request.token_ids.size(1));

    Tokens staying;  // places within this batch
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Tokens& continuation = continuations[static_cast<std::size_t>(rows[i])];
      continuation.push_back(chosen[i]);
      const bool stopped =
          std::find(options.stop_ids.begin(), options.stop_ids.end(), chosen[i]) != options.stop_ids.end() ||
          (options.stop && options.stop(rows[i], continuation));
      if (!stopped) staying.push_back(static_cast<std::int64_t>(i));
    }
    if (staying.empty() || step + 1 == options.max_new_tokens) return;

    if (staying.size() < rows.size()) {
      const at::Tensor index = at::tensor(staying, at::kLong).to(options_of_weights.device());
      memory.keep(index);
      if (mask.defined()) mask = mask.index_select(0, index);
    }
    const auto kept = [&staying](const Tokens& all) {
      Tokens some;
      for (const std::int64_t i : staying) some.push_back(all[static_cast<std::size_t>(i)]);
      return some;
    };
    request.token_ids = at::tensor(kept(chosen), at::kLong).unsqueeze(1);
    rows = kept(rows);
    lengths = kept(lengths);
    request.lengths.clear();
    request.logits.clear();
    past.causal = false;
    past.lengths = lengths;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      past.lengths[i] += step;
      request.logits.push_back({static_cast<std::int64_t>(i), 0});
    }
    if (mask.defined()) past.mask = mask.narrow(3, 0, memory.used() + 1);
  }
}

}  // namespace

std::vector<std::vector<std::int64_t>> generate(const Config& config, const Parameters& parameters,
                                                const std::vector<std::vector<std::int64_t>>& prompts,
                                                const GenerationOptions& options, const Overrides& overrides) {
  check_options(config, prompts, options);
  const at::NoGradGuard no_grad;
  Tokens order(prompts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return prompts[static_cast<std::size_t>(a)].size() < prompts[static_cast<std::size_t>(b)].size();
  });
  std::vector<Rng> streams;
  if (options.temperature > 0) {
    for (std::size_t row = 0; row < prompts.size(); ++row) {
      streams.emplace_back(options.seed, cat(options.stream, "/", row));
    }
  }
  std::vector<Tokens> continuations(prompts.size());
  const auto batch_rows = static_cast<std::size_t>(options.batch_rows);
  for (std::size_t begin = 0; begin < order.size(); begin += batch_rows) {
    Tokens rows(order.begin() + static_cast<std::ptrdiff_t>(begin),
                order.begin() + static_cast<std::ptrdiff_t>(std::min(order.size(), begin + batch_rows)));
    std::sort(rows.begin(), rows.end());
    generate_batch(config, parameters, prompts, std::move(rows), options, overrides, streams, continuations);
  }
  return continuations;
}

}  // namespace palimpsest::model
