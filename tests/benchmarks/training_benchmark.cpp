// One training step, block 100 x 8, on the model in the folder that PALIMPSEST_BENCH_MODEL names.
//
// Counters: `cpu_s`, processor time of a step over all threads (steadier than the clock on a busy machine); `gflops`,
// the step's products per second, 6 x (weights of all linear layers) x tokens + 6 x vocabulary x hidden x labels,
// attention scores left out; `gemm_gflops`, the probe in the same run, in the dtype and by the library of the step's
// products; `share`, one over the other; `page_faults` of a step: memory that is kept from step to step makes none.
// training_reference.py is the counterpart in Python.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <vector>

#include "base/rng.hpp"
#include "benchmarks/gemm_probe.hpp"
#include "model/model.hpp"
#include "training/loop.hpp"

namespace palimpsest::training {
namespace {

constexpr std::int64_t kBlock = 100;
constexpr std::int64_t kRows = 8;
constexpr std::int64_t kSteps = 5;

const model::Model& benchmark_model() {
  static const model::Model model = [] {
    const char* folder = std::getenv("PALIMPSEST_BENCH_MODEL");
    if (folder == nullptr) throw std::runtime_error("PALIMPSEST_BENCH_MODEL must name a model's folder");
    return model::open_model(folder);
  }();
  return model;
}

double step_flops(const model::Model& model) {
  double weights = 0;
  for (const model::ParameterInfo& info : model.parameters.infos()) {
    if (info.layer >= 0 && info.shape.size() == 2) weights += static_cast<double>(info.shape[0] * info.shape[1]);
  }
  const auto head = static_cast<double>(model.config.vocabulary * model.config.hidden);
  return 6.0 * weights * kRows * kBlock + 6.0 * head * kRows * (kBlock - 1);
}

double page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_minflt);
}

void training_step(benchmark::State& state, Precision precision, Matmul matmul) {
  const model::Model* model = nullptr;
  try {
    model = &benchmark_model();
    check_matmul(matmul);
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
    return;
  }
  TrainingData data;
  Rng rng(1, "training_benchmark");
  for (std::int64_t row = 0; row < kRows * (kSteps + 1); ++row) {
    Example example;
    for (std::int64_t t = 0; t < kBlock; ++t) {
      example.token_ids.push_back(
          static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(model->config.vocabulary))));
    }
    data.train.push_back(std::move(example));
  }
  TrainingOptions options;
  options.adamw.weight_decay = 0.01;
  options.schedule = {ScheduleKind::kConstant, 1e-5, 0};
  options.batch_size = kRows;
  options.max_steps = kSteps + 1;  // the first one warms up
  options.precision = precision;
  options.matmul = matmul;

  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds, processor, faults;
  Clock::time_point begin;
  std::clock_t cpu_begin = 0;
  double faults_begin = 0;
  Callbacks callbacks;
  callbacks.progress = [&](std::int64_t step, std::int64_t) {
    const auto now = Clock::now();
    const std::clock_t cpu_now = std::clock();
    if (step > 1) {
      seconds.push_back(std::chrono::duration<double>(now - begin).count());
      processor.push_back(static_cast<double>(cpu_now - cpu_begin) / CLOCKS_PER_SEC);
      faults.push_back(page_faults() - faults_begin);
    }
    faults_begin = page_faults();
    begin = Clock::now();
    cpu_begin = std::clock();
  };
  const std::vector<Decision> decisions(model->parameters.size());
  train(model->config, model->parameters, data, decisions, options, 1, callbacks);

  std::size_t next = 0;
  for (auto _ : state) state.SetIterationTime(seconds[next++ % seconds.size()]);
  double probe = 0;
  {
    const ArithmeticScope arithmetic(Precision::kFloat32, matmul);
    probe = benchmarks::gemm_rate(precision == Precision::kBfloat16Autocast ? at::kBFloat16 : at::kFloat);
  }
  const double rate = step_flops(*model) / *std::min_element(seconds.begin(), seconds.end());
  state.counters["cpu_s"] = *std::min_element(processor.begin(), processor.end());
  state.counters["page_faults"] = *std::min_element(faults.begin(), faults.end());
  state.counters["gflops"] = rate / 1e9;
  state.counters["gemm_gflops"] = probe / 1e9;
  state.counters["share"] = rate / probe;
}

BENCHMARK_CAPTURE(training_step, float32_mkl, Precision::kFloat32, Matmul::kMkl)
    ->Iterations(kSteps)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(training_step, float32_onednn, Precision::kFloat32, Matmul::kOneDnn)
    ->Iterations(kSteps)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(training_step, bfloat16_autocast, Precision::kBfloat16Autocast, Matmul::kMkl)
    ->Iterations(kSteps)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace palimpsest::training
