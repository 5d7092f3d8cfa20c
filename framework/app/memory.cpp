#include "app/memory.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/memory_training.hpp"
#include "experiment/moments.hpp"
#include "experiment/probe.hpp"
#include "model/model.hpp"
#include "model/product.hpp"
#include "model/second_moment.hpp"

namespace palimpsest::app {
namespace {

constexpr double kMiB = 1 << 20;
// Resident in a worker that holds no weights: libtorch, the program, the plan with its facts and plugins, the
// tokenizer. Measured: what is left of a worker that matches controls when all that is counted here is taken from it.
constexpr double kProgram = 230 * kMiB;
// What CUDA takes of a device for itself, before any tensor.
constexpr double kDeviceContext = 600 * kMiB;

constexpr double kAskedRows = experiment::kRowsAtOnce;  // of a forward that asks the model facts
constexpr double kAskedTokens = 16;                     // of each of these rows
constexpr double kScoredTokens = 4096;                  // of a pass that scores texts (sdk/likelihood)
constexpr double kScoredLogits = 1 << 24;  // numbers of the logits that targets are read from (sdk/probing)
constexpr double kContextRows = 22, kContextTokens = 20;  // prompts of one edit, and tokens before the subject's last
constexpr double kSuffixTokens = 3;                       // of each from there on, target included
constexpr double kBatchSuffixTokens = 256;                // of a batch's objective at a time (editing/spread)
constexpr double kKeyTokens = 2048;                       // of a batch's keys at a time (editing/key_pass)

class Counter {
 public:
  explicit Counter(const WorkerSizes& sizes)
      : sizes_(sizes), e_(sizes.experiment), m_(sizes.model), numbers_(numbers_of(sizes.model)) {}

  std::vector<MemoryPhase> phases() const {
    std::vector<MemoryPhase> all = {asking()};
    if (!sizes_.needs.second_moments.empty() && sizes_.edits) all.push_back(moments());
    if (sizes_.edits) all.push_back(editing());
    if (sizes_.edits && e_.facts.selection == "matched") all.push_back(matching());
    if (e_.experiment.has(config::StageKind::kFinetune)) all.push_back(finetuning());
    return all;
  }

 private:
  double weight_bytes() const { return e_.model.dtype == "bfloat16" ? 2 : 4; }

  void add_widened_head(MemoryPhase& phase) const {
    const double bytes = widened_head(sizes_, e_.model.dtype == "bfloat16");
    if (bytes > 0) phase.parts.push_back(on_host("the head's weight in float32", bytes));
  }

  static MemoryPart on_host(std::string what, double bytes) { return {std::move(what), {bytes, 0}}; }

  // A worker that has opened the model and reads its first `layers`; all of them if no number is given.
  MemoryPhase opened(std::string name, std::int64_t layers = -1) const {
    MemoryPhase phase{std::move(name), {}};
    phase.parts.push_back({"the program and libtorch", {kProgram, on_device(e_) ? kDeviceContext : 0}});
    const double in_place = on_device(e_)                  ? 0
                            : e_.model.dtype == "bfloat16" ? sizes_.stored.in_place_bfloat16
                                                           : sizes_.stored.in_place_float32;
    // Pages that nothing reads are not resident; those of weights that are copied all are.
    const bool some = layers >= 0 && numbers_ == in_place;
    phase.parts.push_back(
        on_host("the model's files, mapped",
                sizes_.stored.bytes * (some ? 1 - matrices_of(m_, layers, m_.layers) / numbers_ : 1)));
    if (numbers_ > in_place) {
      phase.parts.push_back(beside_model(e_, "weights as " + e_.model.dtype, weight_bytes() * (numbers_ - in_place)));
    }
    return phase;
  }

  // A worker that starts from what the stages before left.
  MemoryPhase entered(std::string name) const {
    MemoryPhase phase = opened(std::move(name));
    const auto& stages = e_.experiment.stages;
    const bool tuned = std::find(stages.begin(), stages.end() - 1, config::StageKind::kFinetune) != stages.end() - 1;
    if (tuned) phase.parts.push_back(beside_model(e_, "weights tuned before", weight_bytes() * numbers_));
    if (sizes_.edits) phase.parts.push_back(beside_model(e_, "edited matrices", edited_matrices()));
    return phase;
  }

  double edited_matrices() const {
    const double numbers = edited_layers() * static_cast<double>(m_.hidden * m_.mlp_width) + edited_embeddings();
    return sizes_.edits ? weight_bytes() * numbers : 0;
  }
  bool edits_embeddings() const {
    const auto& layers = sizes_.needs.edits_layers;
    return std::find(layers.begin(), layers.end(), plugin::kNoLayer) != layers.end();
  }
  // Of an editor that does not say what it edits, one.
  double edited_layers() const {
    const std::size_t named = sizes_.needs.edits_layers.size() - (edits_embeddings() ? 1 : 0);
    return named == 0 && !edits_embeddings() ? 1 : static_cast<double>(named);
  }
  double edited_embeddings() const { return edits_embeddings() ? static_cast<double>(m_.vocabulary * m_.hidden) : 0; }
  double moment_matrix() const { return 8.0 * static_cast<double>(m_.mlp_width) * static_cast<double>(m_.mlp_width); }

  // What a forward without a backward pass holds at once, between two layers and inside one.
  double running(double tokens) const {
    return weight_bytes() * tokens *
           static_cast<double>(3 * m_.hidden + 2 * m_.query_width() + 2 * m_.kv_width() + 3 * m_.mlp_width);
  }
  double cache(double tokens) const {
    return weight_bytes() * tokens * static_cast<double>(2 * m_.layers * m_.kv_width());
  }
  double logits(double rows) const { return 4.0 * rows * static_cast<double>(m_.vocabulary); }

  MemoryPhase asking() const {
    MemoryPhase phase = entered("asking and measuring");
    // Metrics and scores in the SDK's portions; logits and their log-softmax.
    phase.parts.push_back(
        beside_model(e_, "texts and prompts, their cache and logits",
                     cache(kAskedRows * kAskedTokens) + running(kScoredTokens) + 2 * 4 * kScoredLogits));
    add_widened_head(phase);
    return phase;
  }

  MemoryPhase moments() const {
    MemoryPhase phase = opened("second moments", sizes_.needs.second_moments.back() + 1);
    const config::SecondMomentsSection& s = e_.second_moments;
    auto layers = static_cast<double>(sizes_.needs.second_moments.size());
    if (s.import.set()) {
      // Read whole, and once more as float64.
      phase.parts.push_back(on_host("matrices of " + std::to_string(sizes_.needs.second_moments.size()) + " layers",
                                    2 * layers * moment_matrix()));
      return phase;
    }
    if (s.layers_at_once > 0) layers = std::min(layers, static_cast<double>(s.layers_at_once));
    const double width = static_cast<double>(m_.mlp_width),
                 tokens = double{experiment::kBlocksAtOnce} * static_cast<double>(s.block);
    const double of_product = s.dtype == "float64" ? 8 : 4;
    phase.parts.push_back(beside_model(e_, "sums of " + std::to_string(static_cast<int>(layers)) + " layers, float64",
                                       layers * moment_matrix()));
    // A panel, and once more as float64.
    phase.parts.push_back(
        beside_model(e_, "a product of keys", (of_product + 8) * double{model::kPanelColumns} * width));
    const double scores = 4 * 2 * tokens * static_cast<double>(m_.heads * s.block);
    phase.parts.push_back(beside_model(
        e_, "keys of a batch", tokens * width * (layers * weight_bytes() + of_product) + running(tokens) + scores));
    // What is stored passes through the host.
    if (on_device(e_)) phase.parts.push_back(on_host("sums on their way to the store", layers * moment_matrix()));
    return phase;
  }

  MemoryPhase editing() const {
    MemoryPhase phase = entered("editing");
    phase.parts.push_back(beside_model(e_, "the same after the next update", edited_matrices()));
    const bool batch = e_.edit.scope == "batch";
    const double suffix = batch ? kBatchSuffixTokens : kContextRows * kSuffixTokens;
    const double prefix = batch ? kBatchSuffixTokens / kSuffixTokens * kContextTokens : kContextRows * kContextTokens;
    const KeptForBackward kept = kept_for_backward(sizes_, suffix, kSuffixTokens + kContextTokens, false);
    const double with_graph = static_cast<double>(m_.layers) * kept.layer + 4 * logits(batch ? suffix : kContextRows);
    const double objective = cache(prefix) + std::max(running(prefix), with_graph);
    const auto layers = static_cast<double>(sizes_.needs.second_moments.size());
    // A batch's values are all there before the first solve, so where both lie in the same memory the larger counts.
    // Editors of one fact have solved for its key before they optimise its value.
    const double solving = (2 * layers + 3) * moment_matrix();
    const bool values_first = batch && layers > 0 && !on_device(e_);
    const bool solves_are_most = !values_first || running(kKeyTokens) + solving > objective;
    if (layers > 0 && solves_are_most) {
      phase.parts.push_back(on_host("second moments and their factors", 2 * layers * moment_matrix()));
      // Reading one (the file, the sum, the mean), or an eigendecomposition of one.
      phase.parts.push_back(on_host("work on one of them", 3 * moment_matrix()));
    }
    if (values_first && solves_are_most) {
      phase.parts.push_back(beside_model(e_, "keys of the batch", running(kKeyTokens)));
    } else {
      phase.parts.push_back(beside_model(e_, "contexts and the objective's backward pass", objective));
    }
    phase.parts.push_back(on_host("recorded updates", updates()));
    add_widened_head(phase);
    return phase;
  }

  // Low rank where that is smaller: U and V of every fact, or of all facts of a batch.
  double updates() const {
    const double out = static_cast<double>(m_.hidden), in = static_cast<double>(m_.mlp_width);
    const double facts = e_.edit.scope == "isolated" ? 1 : static_cast<double>(e_.facts.edited);
    const double calls = e_.edit.scope == "batch" ? 1 : facts;
    return 4 * (edited_layers() * std::min(facts * (out + in), calls * out * in) + calls * edited_embeddings());
  }

  // Every edit of the group at once: in scope isolated, one of each fact.
  MemoryPhase matching() const {
    MemoryPhase phase = opened("matching controls");
    const double states = e_.edit.scope == "isolated" ? static_cast<double>(e_.facts.edited) : 1;
    phase.parts.push_back(beside_model(e_, "edited matrices of all edits", states * edited_matrices()));
    const double tokens = kAskedRows * kAskedTokens;
    phase.parts.push_back(
        beside_model(e_, "prompts, their cache and logits", cache(tokens) + running(tokens) + 2 * logits(kAskedRows)));
    add_widened_head(phase);
    return phase;
  }

  MemoryPhase finetuning() const {
    MemoryPhase phase = entered("fine-tuning");
    for (auto& part : training_parts(sizes_)) phase.parts.push_back(std::move(part));
    return phase;
  }

  const WorkerSizes& sizes_;
  const config::Experiment& e_;
  const model::Config& m_;
  double numbers_;
};

}  // namespace

double widened_head(const WorkerSizes& sizes, bool bfloat16) {
  if (!bfloat16 || on_device(sizes.experiment) || model::multiplies_bfloat16()) return 0;
  return 4.0 * static_cast<double>(sizes.model.vocabulary * sizes.model.hidden);
}

MemoryPart beside_model(const config::Experiment& experiment, std::string what, double bytes) {
  return {std::move(what), on_device(experiment) ? Bytes{0, bytes} : Bytes{bytes, 0}};
}

Bytes MemoryPhase::total() const {
  Bytes sum;
  for (const auto& part : parts) {
    sum.host += part.bytes.host;
    sum.device += part.bytes.device;
  }
  return sum;
}

StoredWeights stored_weights(const model::Parameters& opened) {
  StoredWeights stored;
  for (std::size_t i = 0; i < opened.size(); ++i) {
    const at::Tensor& weight = opened[i];
    const auto numbers = static_cast<double>(weight.numel());
    stored.bytes += numbers * static_cast<double>(weight.element_size());
    if (model::stays_mapped(weight, {.dtype = at::kFloat})) stored.in_place_float32 += numbers;
    if (model::stays_mapped(weight, {.dtype = at::kBFloat16})) stored.in_place_bfloat16 += numbers;
  }
  return stored;
}

StoredWeights stored_weights(const model::Config& config) {
  const auto json = nlohmann::json::parse(config.json);
  std::string dtype = "float32";
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (json.contains(key) && json[key].is_string()) dtype = json[key].get<std::string>();
  }
  const double numbers = numbers_of(config);
  StoredWeights stored;
  stored.bytes = numbers * (dtype == "float32" ? 4 : 2);
  if (dtype == "float32") stored.in_place_float32 = numbers;
  if (dtype == "bfloat16") stored.in_place_bfloat16 = numbers;
  return stored;
}

std::vector<MemoryPhase> memory_of(const WorkerSizes& sizes) { return Counter(sizes).phases(); }

bool on_device(const config::Experiment& experiment) { return config::device_type(experiment.model.device) != "cpu"; }

double wanted(const MemoryPhase& phase, const config::Experiment& experiment) {
  const Bytes total = phase.total();
  return on_device(experiment) ? total.device : total.host;
}

const MemoryPhase& largest(const std::vector<MemoryPhase>& phases, const config::Experiment& experiment) {
  return *std::max_element(phases.begin(), phases.end(), [&](const MemoryPhase& a, const MemoryPhase& b) {
    return wanted(a, experiment) < wanted(b, experiment);
  });
}

}  // namespace palimpsest::app
