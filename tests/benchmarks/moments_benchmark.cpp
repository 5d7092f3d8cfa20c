// Second moments of layers 4 to 8 over 8192 tokens of PALIMPSEST_BENCH_TEXT on a real model, processor time of one
// thread. moments_reference_benchmark.py times the plain Python version, a pass for each layer.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/files.hpp"
#include "benchmarks/gemm_probe.hpp"
#include "experiment/moments.hpp"
#include "model/checkpoint.hpp"
#include "model/work.hpp"

namespace palimpsest::benchmarks {
namespace {

void second_moments(benchmark::State& state) {
  const char* folder = std::getenv("PALIMPSEST_BENCH_MODEL");
  const char* text = std::getenv("PALIMPSEST_BENCH_TEXT");
  if (folder == nullptr || text == nullptr) {
    state.SkipWithError("PALIMPSEST_BENCH_MODEL names no model folder, or PALIMPSEST_BENCH_TEXT no text");
    return;
  }
  at::set_num_threads(1);
  const model::Model opened = model::open_model(folder);
  config::SecondMomentsSection section;
  section.file = {text, text};
  section.tokens = 8192;
  section.dtype = "float32";
  section.block = 256;
  const auto progress =
      std::filesystem::temp_directory_path() / ("palimpsest-moments-" + std::to_string(::getpid()) + ".safetensors");
  const model::Work before = model::work();
  for (auto _ : state) {
    benchmark::DoNotOptimize(experiment::compute_moments(opened, section, {4, 5, 6, 7, 8}, progress));
  }
  state.counters["layer_tokens"] =
      static_cast<double>((model::work() - before).layer_tokens) / static_cast<double>(state.iterations());
  state.counters["gemm_gflops"] = gemm_rate() / 1e9;
}
BENCHMARK(second_moments)->Unit(benchmark::kSecond)->Iterations(1);

}  // namespace
}  // namespace palimpsest::benchmarks
