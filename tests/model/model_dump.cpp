// model_dump MODEL_FOLDER INPUT.safetensors OUTPUT.safetensors SAVED_FOLDER: what the runtime computes for the inputs
// that compare_with_transformers.py wrote, for it to compare.
//
// Input: token_ids [rows, tokens], gradient_ids [rows, tokens], prompts [n, widest], prompt_lengths [n], new_tokens
// [1]. Output: logits [rows * tokens, vocabulary]; cache_difference [4], the largest difference of a run that continues
// a cache from the full run: of the first half of every row, from layer 0 and from the middle layer, then of a part
// that differs from row to row, from the same two; loss and
// grad.<stored name> of the mean cross-entropy over gradient_ids; continuations [n, new_tokens]; seconds [4] of open,
// first logits, loss and backward, generation.
//
// model_dump MODEL_FOLDER SAVED_FOLDER: opens and saves, no more.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>

#include "base/error.hpp"
#include "model/architectures/stored.hpp"
#include "model/decoder.hpp"
#include "model/generation.hpp"
#include "model/safetensors.hpp"
#include "model/safetensors_writer.hpp"

namespace palimpsest::model {
namespace {

class Clock {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

at::Tensor ids(const SafetensorsFile& file, const std::string& name) {
  const TensorView* view = file.find(name);
  if (view == nullptr || view->dtype != DType::kInt64) {
    fail(ErrorCode::kInvalidArgument, file.path().string(), ": expected an I64 tensor ", name);
  }
  at::Tensor tensor = at::empty(view->shape, at::kLong);
  std::memcpy(tensor.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
  return tensor;
}

// The largest difference of the logits of a run that continues a cache of the first past[row] tokens of every row, from
// layer `start`, from those of the full run.
double cache_difference(const Model& model, const at::Tensor& token_ids, const at::Tensor& logits, std::int64_t start,
                        const std::vector<std::int64_t>& past) {
  const std::int64_t rows = token_ids.size(0), tokens = token_ids.size(1);
  ForwardRequest prefix;
  prefix.token_ids = token_ids;
  prefix.return_cache = true;
  if (start > 0) prefix.capture = {{SitePoint::kLayerOut, start - 1}};
  const ForwardResult kept = forward(model, prefix);
  const Cache cache = kept.cache.truncate(past).from_layer(start);
  const std::int64_t widest = tokens - *std::min_element(past.begin(), past.end());
  ForwardRequest request;
  request.cache = &cache;
  request.first_layer = start;
  request.token_ids = at::zeros({rows, widest}, at::kLong);
  if (start > 0) request.hidden = at::zeros({rows, widest, model.config.hidden}, kept.captured[0].options());
  std::vector<at::Tensor> wanted;
  for (std::int64_t row = 0; row < rows; ++row) {
    // A row's end differs from the others' where its past does.
    const std::int64_t begin = past[static_cast<std::size_t>(row)], count = tokens - (tokens / 2 - begin) / 2 - begin;
    request.lengths.push_back(count);
    request.token_ids[row].narrow(0, 0, count).copy_(token_ids[row].narrow(0, begin, count));
    if (start > 0) request.hidden[row].narrow(0, 0, count).copy_(kept.captured[0][row].narrow(0, begin, count));
    for (std::int64_t t = 0; t < count; ++t) request.logits.push_back({row, t});
    wanted.push_back(logits.narrow(0, row * tokens + begin, count));
  }
  return (forward(model, request).logits - at::cat(wanted)).abs().max().item<double>();
}

void run(const char* folder, const char* input_path, const char* output_path, const char* saved_folder) {
  const auto input = SafetensorsFile::open(input_path);
  std::vector<double> seconds;
  Clock clock;
  const Model model = open_model(folder);
  seconds.push_back(clock.lap());
  ForwardRequest first;
  first.token_ids = ids(*input, "token_ids").narrow(0, 0, 1).narrow(1, 0, 10);
  first.logits = {{0, 9}};
  forward(model, first);
  seconds.push_back(clock.lap());

  std::vector<std::pair<std::string, at::Tensor>> results;
  const at::Tensor token_ids = ids(*input, "token_ids");
  ForwardRequest request;
  request.token_ids = token_ids;
  for (std::int64_t row = 0; row < token_ids.size(0); ++row) {
    for (std::int64_t t = 0; t < token_ids.size(1); ++t) request.logits.push_back({row, t});
  }
  const at::Tensor logits = forward(model, request).logits;
  results.emplace_back("logits", logits);
  const std::int64_t half = token_ids.size(1) / 2, middle = model.config.layers / 2;
  const std::vector<std::int64_t> even(static_cast<std::size_t>(token_ids.size(0)), half);
  std::vector<std::int64_t> ragged;
  for (std::int64_t row = 0; row < token_ids.size(0); ++row) ragged.push_back(half - 37 * row);
  const std::vector<double> differences = {cache_difference(model, token_ids, logits, 0, even),
                                           cache_difference(model, token_ids, logits, middle, even),
                                           cache_difference(model, token_ids, logits, 0, ragged),
                                           cache_difference(model, token_ids, logits, middle, ragged)};
  results.emplace_back("cache_difference", at::tensor(differences).to(at::kFloat));

  std::vector<at::Tensor> leaves;
  for (std::size_t i = 0; i < model.parameters.size(); ++i) {
    leaves.push_back(model.parameters[i].detach().requires_grad_(true));
  }
  const Parameters trained(model.parameters.infos(), leaves);
  const at::Tensor gradient_ids = ids(*input, "gradient_ids");
  clock.lap();
  const at::Tensor loss = causal_loss(model.config, trained, gradient_ids, {}, gradient_ids);
  loss.backward();
  seconds.push_back(clock.lap());
  results.emplace_back("loss", loss.detach().reshape({1}));
  std::vector<at::Tensor> gradients;
  for (std::size_t i = 0; i < trained.size(); ++i) gradients.push_back(trained[i].grad());
  for (auto& [name, gradient] : stored_tensors(model.config, trained.infos(), gradients)) {
    results.emplace_back("grad." + name, std::move(gradient));
  }

  const at::Tensor prompt_ids = ids(*input, "prompts"), lengths = ids(*input, "prompt_lengths");
  std::vector<std::vector<std::int64_t>> prompts;
  for (std::int64_t row = 0; row < prompt_ids.size(0); ++row) {
    const std::int64_t* begin = prompt_ids.const_data_ptr<std::int64_t>() + row * prompt_ids.size(1);
    prompts.emplace_back(begin, begin + lengths[row].item<std::int64_t>());
  }
  GenerationOptions options;
  options.max_new_tokens = ids(*input, "new_tokens").item<std::int64_t>();
  clock.lap();
  const auto continuations = generate(model, prompts, options);
  seconds.push_back(clock.lap());
  at::Tensor generated = at::empty({static_cast<std::int64_t>(prompts.size()), options.max_new_tokens}, at::kLong);
  for (std::size_t row = 0; row < continuations.size(); ++row) {
    std::copy(continuations[row].begin(), continuations[row].end(),
              generated.mutable_data_ptr<std::int64_t>() + static_cast<std::int64_t>(row) * options.max_new_tokens);
  }
  results.emplace_back("continuations", generated);
  results.emplace_back("seconds", at::tensor(seconds).to(at::kFloat));

  std::vector<NamedTensor> tensors;
  for (auto& [name, tensor] : results) {
    tensor = tensor.contiguous();
    tensors.push_back({name,
                       tensor.scalar_type() == at::kLong ? DType::kInt64 : DType::kFloat32,
                       tensor.sizes().vec(),
                       {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  write_safetensors(output_path, tensors);
  save_model(model, saved_folder);
}

}  // namespace
}  // namespace palimpsest::model

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::cerr << "usage: model_dump MODEL_FOLDER [INPUT.safetensors OUTPUT.safetensors] SAVED_FOLDER\n";
    return 2;
  }
  try {
    if (argc == 3) {
      palimpsest::model::save_model(palimpsest::model::open_model(argv[1]), argv[2]);
      return 0;
    }
    palimpsest::model::run(argv[1], argv[2], argv[3], argv[4]);
  } catch (const std::exception& error) {
    std::cerr << "model_dump: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
