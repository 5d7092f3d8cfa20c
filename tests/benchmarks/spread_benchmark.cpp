// MEMIT and AlphaEdit of PALIMPSEST_BENCH_FACTS facts (50) in one batch on a real model through the plugins, processor
// time of one thread: layers 4 to 8, 25 steps, five contexts. spread_reference_benchmark.py times the plain Python
// version of the same.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>
#include <map>

#include "benchmarks/facts.hpp"
#include "benchmarks/gemm_probe.hpp"
#include "model/model.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "model/work.hpp"
#include "support/parameters.hpp"

namespace palimpsest::benchmarks {
namespace {

void spread_edit(benchmark::State& state, const char* id) {
  const char* folder = std::getenv("PALIMPSEST_BENCH_MODEL");
  if (folder == nullptr) {
    state.SkipWithError("PALIMPSEST_BENCH_MODEL names no model folder");
    return;
  }
  at::set_num_threads(1);
  const model::Model opened = model::open_model(folder);
  std::map<std::int64_t, std::shared_ptr<const model::SecondMoment>> moments;
  auto session = std::make_shared<plugin::Session>();
  session->tokenizer = opened.tokenizer;
  session->second_moment = [&](std::int64_t layer) {
    auto& moment = moments[layer];
    if (!moment) moment = falling_moment(opened.config.mlp_width, layer);
    return moment;
  };
  const plugin::ParameterValue contexts = texts("context_templates", five_contexts());
  const auto requests = facts(static_cast<std::size_t>(number_from_environment("PALIMPSEST_BENCH_FACTS", 50)));
  plugin::Registry registry({PALIMPSEST_PLUGINS}, {PALIMPSEST_TORCH_TAG, PALIMPSEST_TORCH_VERSION, {}, {}});
  const model::Work before = model::work();
  std::size_t steps = 0;
  const std::clock_t cpu_begin = std::clock();
  for (auto _ : state) {
    // An instance and a store of its own: null spaces are made anew, as for an experiment's first stage.
    session->get_or_compute = plugin::values_in_memory();
    plugin::Editor editor(registry.find("editor", id), session, {contexts});
    palimpsest_model model;
    model.opened = &opened;
    model.base = model.edited = model.current = opened.parameters;
    const auto records = editor.apply(model, requests).records;
    steps = static_cast<std::size_t>(
        std::count_if(records.begin(), records.end(), [](const auto& r) { return r.name == "loss"; }));
  }
  const std::clock_t cpu_end = std::clock();
  const auto count = static_cast<double>(state.iterations());
  state.counters["cpu_s"] = static_cast<double>(cpu_end - cpu_begin) / CLOCKS_PER_SEC / count;
  state.counters["facts"] = static_cast<double>(requests.size());
  state.counters["steps"] = static_cast<double>(steps);
  state.counters["layer_tokens"] = static_cast<double>((model::work() - before).layer_tokens) / count;
  state.counters["gemm_gflops"] = gemm_rate() / 1e9;
}
BENCHMARK_CAPTURE(spread_edit, memit, "memit")->Unit(benchmark::kSecond)->Iterations(1);
BENCHMARK_CAPTURE(spread_edit, alphaedit, "alphaedit")->Unit(benchmark::kSecond)->Iterations(1);

}  // namespace
}  // namespace palimpsest::benchmarks
