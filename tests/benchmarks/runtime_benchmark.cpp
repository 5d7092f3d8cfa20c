// What measuring and preparing cost on the model of PALIMPSEST_BENCH_MODEL: greedy continuations of 100 prompts by 50
// tokens, second moments of five layers over a text (PALIMPSEST_BENCH_TEXT, JSONL), and a model's opening up to the
// first logits of a 10-token prompt. runtime_reference.py does the first two in plain Python.
//
// Counters: `cpu_s`, processor time over all threads; `gemm_gflops`, the float32 probe in the same run; `share`, the
// products' flops per second (attention scores left out) over the probe.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <stdexcept>

#include "benchmarks/gemm_probe.hpp"
#include "experiment/moments.hpp"
#include "model/generation.hpp"
#include "model/model.hpp"

namespace palimpsest::benchmarks {
namespace {

constexpr std::int64_t kPrompts = 100, kNewTokens = 50;
constexpr std::int64_t kFirstLayer = 4, kEndLayer = 9, kTokens = 8000, kBlock = 100;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
  return value;
}

const model::Model& benchmark_model() {
  static const model::Model model = model::open_model(from_environment("PALIMPSEST_BENCH_MODEL"));
  return model;
}

// Multiplications and additions of the products of one token through `layers` layers.
double token_flops(const model::Model& model, std::int64_t layers) {
  double weights = 0;
  for (const model::ParameterInfo& info : model.parameters.infos()) {
    if (info.layer == 0 && info.shape.size() == 2) weights += static_cast<double>(info.shape[0] * info.shape[1]);
  }
  return 2.0 * weights * static_cast<double>(layers);
}

// Runs `work`, which returns the flops of its products, once per iteration.
template <typename Work>
void measure(benchmark::State& state, Work work) {
  try {
    benchmark_model();
    double flops = 0, seconds = 0;
    const std::clock_t cpu_begin = std::clock();
    for (auto _ : state) {
      const auto begin = std::chrono::steady_clock::now();
      flops += work();
      seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
    state.counters["cpu_s"] =
        static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC / static_cast<double>(state.iterations());
    const double probe = gemm_rate();
    state.counters["gemm_gflops"] = probe / 1e9;
    if (flops > 0) state.counters["share"] = flops / seconds / probe;
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
  }
}

void generation(benchmark::State& state) {
  std::vector<std::vector<std::int64_t>> prompts;
  std::int64_t tokens = 0;
  for (std::int64_t row = 0; row < kPrompts; ++row) {
    std::vector<std::int64_t>& prompt = prompts.emplace_back();
    for (std::int64_t t = 0; t < 4 + row % 13; ++t) prompt.push_back((7919 * (row * 17 + t * 31) + 13) % 40000 + 100);
    tokens += static_cast<std::int64_t>(prompt.size()) + kNewTokens - 1;
  }
  model::GenerationOptions options;
  options.max_new_tokens = kNewTokens;
  measure(state, [&] {
    const model::Model& model = benchmark_model();
    benchmark::DoNotOptimize(model::generate(model, prompts, options));
    const auto head = static_cast<double>(2 * model.config.vocabulary * model.config.hidden);
    return token_flops(model, model.config.layers) * static_cast<double>(tokens) +
           head * static_cast<double>(kPrompts * kNewTokens);
  });
}
BENCHMARK(generation)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(2);

void second_moments(benchmark::State& state) {
  measure(state, [] {
    const model::Model& model = benchmark_model();
    config::SecondMomentsSection section;
    section.file.path = from_environment("PALIMPSEST_BENCH_TEXT");
    section.tokens = kTokens;
    section.block = kBlock;
    section.dtype = "float32";
    std::vector<std::int64_t> layers;
    for (std::int64_t layer = kFirstLayer; layer < kEndLayer; ++layer) layers.push_back(layer);
    const auto progress = std::filesystem::temp_directory_path() / "palimpsest_benchmark_moments";
    double flops = 0;
    std::int64_t count = 0;
    experiment::compute_moments(model, section, layers, progress, [&](const experiment::MomentSum& sum) {
      count = sum.count;
      // A symmetric product: half of it is enough.
      flops += static_cast<double>(count * model.config.mlp_width * model.config.mlp_width);
    });
    return flops + token_flops(model, kEndLayer) * static_cast<double>(count);
  });
}
BENCHMARK(second_moments)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(1);

void open_to_first_logits(benchmark::State& state) {
  measure(state, [] {
    const model::Model model = model::open_model(from_environment("PALIMPSEST_BENCH_MODEL"));
    model::ForwardRequest request;
    request.token_ids = at::arange(100, 110, at::kLong).unsqueeze(0);
    request.logits = {{0, 9}};
    benchmark::DoNotOptimize(model::forward(model, request));
    return 0.0;
  });
}
BENCHMARK(open_to_first_logits)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(3);

}  // namespace
}  // namespace palimpsest::benchmarks
