#include "app/estimate.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "app/memory_training.hpp"
#include "app/product_rates.hpp"

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
    const auto threads = static_cast<double>(plan.experiment().run.threads);
    made_.gemm_rate = bfloat16_rate_ = threads * product_rate(at::kFloat);
    const auto& cells = plan.cells();
    if (std::any_of(cells.begin(), cells.end(),
                    [](const auto& cell) { return multiplies_in_bfloat16(cell.experiment); })) {
      bfloat16_rate_ = threads * product_rate(at::kBFloat16);
    }
    numbers_ = numbers_of(checked.models.at(plan.experiment().model.path.path.string()).config);
    forward_ = 2.0 * numbers_;
  }

  Estimate run() {
    for (const auto& node : plan_.nodes()) made_.seconds[node.id] = seconds(node);
    return made_;
  }

 private:
  // Seconds of so many tokens' forward passes, in short ragged rows and in large batches.
  double small(const config::Experiment& e, double tokens, double passes = 1) const {
    return tokens * passes * forward_ / (rate(e.model.dtype == "bfloat16") * kSmallShare);
  }
  double large(const config::Experiment& e, double tokens, double passes = 1) const {
    return tokens * passes * forward_ / (rate(e.model.dtype == "bfloat16") * kLargeShare);
  }
  double rate(bool bfloat16) const { return bfloat16 ? bfloat16_rate_ : made_.gemm_rate; }

  static double measured_facts(const config::Experiment& e, const experiment::PlanNode& node) {
    return static_cast<double>((node.place.fact ? 1 : e.facts.edited) + e.facts.intrinsic);
  }

  double seconds(const experiment::PlanNode& node) const {
    using experiment::NodeKind;
    const config::Experiment& e = plan_.cells()[node.cell].experiment;
    const double measure = small(e, measured_facts(e, node) * kTokensPerMeasuredFact);
    switch (node.kind) {
      case NodeKind::kKnowledge: {
        const auto file = checked_.facts.find(e.facts.file.path.string());
        return kStartSeconds + (file == checked_.facts.end() ? 0 : small(e, knowledge_tokens(e.facts, file->second)));
      }
      case NodeKind::kSecondMoments: return kStartSeconds + moments(e, node.layers);
      case NodeKind::kRoles: return kStartSeconds + small(e, static_cast<double>(e.facts.limit) * kPromptTokens);
      case NodeKind::kStage: return kStartSeconds + stage(e, node);
      case NodeKind::kMeasure: return kStartSeconds + measure;
      case NodeKind::kScore: return kStartSeconds + large(e, kScoredTokens);
      case NodeKind::kPart: return kStartSeconds + training(e) + measure * points(e.training);
      case NodeKind::kCell: return kStartSeconds;
    }
    return kStartSeconds;
  }

  // Every pass over the text stops at its highest layer.
  double moments(const config::Experiment& e, const std::vector<std::int64_t>& layers) const {
    const auto all = static_cast<double>(checked_.models.at(e.model.path.path.string()).config.layers);
    const auto at_once = static_cast<std::size_t>(e.second_moments.layers_at_once);
    const std::size_t group = at_once == 0 ? layers.size() : at_once;
    double passes = 0;  // of the whole model
    for (std::size_t begin = 0; begin < layers.size(); begin += group) {
      passes += static_cast<double>(layers[std::min(layers.size(), begin + group) - 1] + 1) / all;
    }
    return passes * large(e, static_cast<double>(e.second_moments.tokens));
  }

  double stage(const config::Experiment& e, const experiment::PlanNode& node) const {
    const config::StageKind kind = stage_to(e, node.place);
    if (kind == config::StageKind::kFinetune) return training(e);
    if (kind == config::StageKind::kReapply || plan_.unedited(node.cell)) return 0;
    const double facts = node.place.fact ? 1 : static_cast<double>(e.facts.edited);
    return facts * small(e, kEditPasses * kEditRows * kEditTokens, 2);
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
    const double tokens = 3 * trained + evaluations * static_cast<double>(t.validation_blocks * t.block_size);
    const bool bfloat16 = e.model.dtype == "bfloat16" || t.precision == "bfloat16_autocast";
    // The optimiser reads and writes every weight and its two moments: some ten gigabytes a second.
    const double optimiser = steps * 28.0 * numbers_ / 1e10;
    return tokens * forward_ / (rate(bfloat16) * kLargeShare) + optimiser;
  }

  const experiment::Plan& plan_;
  const Checked& checked_;
  double numbers_ = 0;  // of the first cell's model
  double forward_ = 0;  // operations of a forward pass, per token
  double bfloat16_rate_ = 0;
  Estimate made_;
};

}  // namespace

Estimate estimate(const experiment::Plan& plan, const Checked& checked) { return Estimator(plan, checked).run(); }

WorkerSizes sizes_of(const experiment::Plan& plan, const Checked& checked, std::size_t cell) {
  const config::Experiment& e = plan.cells()[cell].experiment;
  const ModelSizes& model = checked.models.at(e.model.path.path.string());
  return {e, model.config, model.stored, plan.needs(cell), !plan.unedited(cell)};
}

}  // namespace palimpsest::app
