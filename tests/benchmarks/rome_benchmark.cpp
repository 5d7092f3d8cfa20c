// One ROME edit of one fact on a real model through the plugin, processor time of one thread: 20 steps, 21 contexts
// (the bare prompt and 20 texts of about ten tokens). rome_reference_benchmark.py times the plain Python version of the
// same.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <ctime>

#include "benchmarks/gemm_probe.hpp"
#include "model/model.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "model/work.hpp"
#include "plugin/instance.hpp"
#include "support/parameters.hpp"

namespace palimpsest::benchmarks {
namespace {

constexpr std::int64_t kLayer = 5, kSteps = 20;

// Twenty texts; the same stand in rome_reference_benchmark.py.
std::vector<std::string> contexts() {
  std::vector<std::string> made = {"{}"};
  for (const char* opening : {"The", "Therefore", "Because", "I think that", "You know that"}) {
    for (const char* rest :
         {"the weather in the north was cold last year", "people of the town went to the market again",
          "a long road leads from here to the sea", "most of the old books were lost at night"}) {
      made.push_back(std::string(opening) + " " + rest + ". {}");
    }
  }
  return made;
}

// The identity and a little of something else: symmetric, positive definite, and no special case.
std::shared_ptr<const model::SecondMoment> second_moment(std::int64_t width) {
  const at::Tensor ramp = at::arange(width, at::kDouble).div(static_cast<double>(width)).sin();
  return std::make_shared<model::SecondMoment>(at::eye(width, at::kDouble) + at::outer(ramp, ramp), 1, kLayer);
}

void rome_edit(benchmark::State& state) {
  const char* folder = std::getenv("PALIMPSEST_BENCH_MODEL");
  if (folder == nullptr) {
    state.SkipWithError("PALIMPSEST_BENCH_MODEL names no model folder");
    return;
  }
  at::set_num_threads(1);
  const model::Model opened = model::open_model(folder);
  const auto moment = second_moment(opened.config.mlp_width);
  auto session = std::make_shared<plugin::Session>();
  session->tokenizer = opened.tokenizer;
  session->second_moment = [&](std::int64_t) { return moment; };
  plugin::Registry registry({PALIMPSEST_PLUGINS}, {PALIMPSEST_TORCH_TAG, PALIMPSEST_TORCH_VERSION, {}, {}});
  // No early end: the objective stays above the references' limit of 0.05 by the weight of its decay term.
  plugin::Editor editor(registry.find("editor", "rome"), session,
                        {integer("layer", kLayer), integer("v_num_grad_steps", kSteps), number("v_lr", 0.05),
                         number("v_weight_decay", 0.5), texts("context_templates", contexts())});
  const std::vector<plugin::EditRequest> requests = {
      {nullptr, "The mother tongue of {} is", "Danielle Darrieux", "English", PALIMPSEST_PROMPT_OWN}};
  const auto edit = [&] {
    palimpsest_model model;
    model.opened = &opened;
    model.base = model.edited = model.current = opened.parameters;
    return editor.apply(model, requests);
  };
  // The factor of the second moment is made once a layer, not once an edit.
  const std::vector<plugin::EditRecord> records = edit().records;
  const auto steps = std::count_if(records.begin(), records.end(), [](const auto& r) { return r.name == "loss"; });
  const model::Work before = model::work();
  const std::clock_t cpu_begin = std::clock();
  for (auto _ : state) benchmark::DoNotOptimize(edit());
  const std::clock_t cpu_end = std::clock();
  const auto count = static_cast<double>(state.iterations());
  state.counters["cpu_s"] = static_cast<double>(cpu_end - cpu_begin) / CLOCKS_PER_SEC / count;
  state.counters["steps"] = static_cast<double>(steps);
  state.counters["layer_tokens"] = static_cast<double>((model::work() - before).layer_tokens) / count;
  state.counters["gemm_gflops"] = gemm_rate() / 1e9;
}
BENCHMARK(rome_edit)->Unit(benchmark::kMillisecond)->MinTime(5);

}  // namespace
}  // namespace palimpsest::benchmarks
