#include "app/estimate.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <time.h>

#include <algorithm>
#include <map>
#include <set>

#include "model/config.hpp"

namespace palimpsest::app {
namespace {

// Shares of the GEMM rate that real work reaches, measured on small models: large batches, and short ragged prompts.
constexpr double kLargeShare = 0.6, kSmallShare = 0.4;
constexpr double kStartSeconds = 1;                // of a worker: libtorch, the model, its plugins
constexpr double kPromptTokens = 10;               // of a fact's prompt, on average
constexpr double kFurtherTokens = 1;               // of a target after its first, on average
constexpr double kEditPasses = 20;                 // evaluations of a locating editor's objective, forward and backward
constexpr double kEditRows = 22, kEditTokens = 2;  // contexts, and tokens of each from the subject on
constexpr double kScoredTokens = 4000;             // that a task's score reads
constexpr double kTokensPerMeasuredFact = 100;     // a short continuation and the probes, over metrics and points

// Processor time of this thread: what other programs take from the machine does not count.
double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double measure_gemm_rate(int threads) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  constexpr std::int64_t kSize = 768;
  const at::Tensor a = at::ones({kSize, kSize}), b = at::ones({kSize, kSize});
  at::mm(a, b);
  const double start = thread_seconds();
  double seconds = 0;
  int rounds = 0;
  while (seconds < 0.3) {
    at::mm(a, b);
    ++rounds;
    seconds = thread_seconds() - start;
  }
  at::set_num_threads(before);
  return 2.0 * kSize * kSize * kSize * rounds / seconds * threads;
}

std::int64_t last_step(const config::TrainingSection& training) {
  // Epochs bound it only with the data at hand, which is not read here.
  return training.max_steps > 0 ? training.max_steps : 1000;
}

// What judging the knowledge of a file's facts reads: every subject of a relation in every template of it, and each
// fact's own target. Few facts take more than that.
double knowledge_tokens(const config::FactsSection& facts, const data::FactFile& file) {
  std::map<std::string, std::set<std::string>> subjects, prompts;
  const auto begin = std::min<std::size_t>(file.facts.size(), static_cast<std::size_t>(facts.first));
  const auto end =
      facts.limit == 0 ? file.facts.size() : std::min(file.facts.size(), begin + static_cast<std::size_t>(facts.limit));
  for (std::size_t i = begin; i < end; ++i) {
    subjects[file.facts[i].relation].insert(file.facts[i].subject);
    prompts[file.facts[i].relation].insert(file.facts[i].prompt);
  }
  double tokens = kFurtherTokens * static_cast<double>(end - begin);
  for (const auto& [relation, all] : subjects)
    tokens += static_cast<double>(all.size()) * static_cast<double>(prompts[relation].size()) * kPromptTokens;
  return tokens;
}

class Estimator {
 public:
  Estimator(const experiment::Plan& plan, const Checked& checked) : plan_(plan), checked_(checked) {
    made_.gemm_rate = measure_gemm_rate(static_cast<int>(plan.experiment().run.threads));
    forward_ = 2.0 * static_cast<double>(checked.parameters);
  }

  Estimate run() {
    for (const auto& node : plan_.nodes()) made_.seconds[node.node.id] = seconds(node);
    made_.worker_mib = memory();
    return made_;
  }

 private:
  double small(double tokens, double passes = 1) const {
    return tokens * passes * forward_ / (made_.gemm_rate * kSmallShare);
  }
  double large(double tokens, double passes = 1) const {
    return tokens * passes * forward_ / (made_.gemm_rate * kLargeShare);
  }

  static double measured_facts(const config::Experiment& e, const experiment::PlanNode& node) {
    return static_cast<double>((node.place.fact ? 1 : e.facts.edited) + e.facts.intrinsic);
  }

  double seconds(const experiment::PlanNode& node) const {
    using experiment::NodeKind;
    const config::Experiment& e = plan_.cells()[node.cell].experiment;
    const double measure = small(measured_facts(e, node) * kTokensPerMeasuredFact);
    switch (node.kind) {
      case NodeKind::kKnowledge: {
        const auto file = checked_.facts.find(e.facts.file.path.string());
        return kStartSeconds + (file == checked_.facts.end() ? 0 : small(knowledge_tokens(e.facts, file->second)));
      }
      case NodeKind::kSecondMoments: {
        // Keys stop at their layer.
        const double layers = static_cast<double>(model::read_config(e.model.path.path).layers);
        const double highest = static_cast<double>(*std::max_element(node.layers.begin(), node.layers.end())) + 1;
        return kStartSeconds + large(static_cast<double>(e.second_moments.tokens)) * highest / layers;
      }
      case NodeKind::kRoles: return kStartSeconds + small(static_cast<double>(e.facts.limit) * kPromptTokens);
      case NodeKind::kStage: return kStartSeconds + stage(e, node);
      case NodeKind::kMeasure: return kStartSeconds + measure;
      case NodeKind::kScore: return kStartSeconds + large(kScoredTokens);
      case NodeKind::kPart: return kStartSeconds + training(e) + measure * points(e.training);
      case NodeKind::kCell: return kStartSeconds;
    }
    return kStartSeconds;
  }

  double stage(const config::Experiment& e, const experiment::PlanNode& node) const {
    const std::string& kind = e.experiment.stages.at(node.place.stages - 1);
    if (kind == "finetune") return training(e);
    if (kind != "edit" || plan_.unedited(node.cell)) return 0;
    const double facts = node.place.fact ? 1 : static_cast<double>(e.facts.edited);
    return facts * small(kEditPasses * kEditRows * kEditTokens, 2);
  }

  static double points(const config::TrainingSection& t) {
    double count = 1;
    for (const auto step : t.measure_steps) count += step <= last_step(t) ? 1 : 0;
    if (t.measure_every > 0) count += static_cast<double>(last_step(t) / t.measure_every);
    return count + static_cast<double>(t.measure_epochs.size());
  }

  double training(const config::Experiment& e) const {
    const config::TrainingSection& t = e.training;
    const double steps = static_cast<double>(last_step(t));
    const double trained = steps * static_cast<double>(t.accumulation * t.batch_size * t.block_size);
    const double evaluations = 2 + (t.evaluate_every > 0 ? steps / static_cast<double>(t.evaluate_every) : 0);
    const double speed_up = t.precision == "bfloat16_autocast" ? 1.7 : 1;
    // The optimiser reads and writes every weight and its two moments: some ten gigabytes a second.
    const double optimiser = steps * 28.0 * static_cast<double>(checked_.parameters) / 1e10;
    return (large(trained, 3) + large(evaluations * static_cast<double>(t.validation_blocks * t.block_size))) /
               speed_up +
           optimiser;
  }

  // Base and tuned weights, gradients, two moments (without fine-tuning the base weights alone), and of a model in
  // bfloat16 the float32 copies that are trained; activations kept for the backward pass.
  double memory() const {
    double most = 0;
    for (const auto& cell : plan_.cells()) {
      const config::Experiment& e = cell.experiment;
      const auto& stages = e.experiment.stages;
      const bool trains = std::find(stages.begin(), stages.end(), "finetune") != stages.end();
      const model::Config c = model::read_config(e.model.path.path);
      const bool narrow = e.model.dtype == "bfloat16";
      const double bytes = trains ? (narrow ? 22 : 20) : (narrow ? 2 : 4);
      const double weights = bytes * static_cast<double>(checked_.parameters);
      const double tokens =
          trains ? static_cast<double>(e.training.batch_size * e.training.block_size) : kEditRows * kEditTokens;
      const double kept = static_cast<double>(c.layers * (14 * c.hidden + 4 * c.mlp_width)) * 4.0 * tokens;
      most = std::max(most, weights + kept);
    }
    return most / (1 << 20) + 400;  // libtorch and the program
  }

  const experiment::Plan& plan_;
  const Checked& checked_;
  double forward_ = 0;  // operations of a forward pass, per token
  Estimate made_;
};

}  // namespace

Estimate estimate(const experiment::Plan& plan, const Checked& checked) { return Estimator(plan, checked).run(); }

}  // namespace palimpsest::app
