#include "app/memory_training.hpp"

#include <algorithm>
#include <cmath>

#include "training/adapters.hpp"

namespace palimpsest::app {
namespace {

// Numbers of logits that the fused loss holds at once (model/head).
constexpr double kLogitChunk = 1 << 25;
// Of activations, the share that glibc's heap holds more of: an aligned piece asks for some bytes more than one of its
// size has left behind. Measured on the tensors of a pass: docs/large-models.md.
constexpr double kHoles = 0.15;
// Attention that keeps its weights, in place of a flash kernel (model/attention).
constexpr double kShortTokens = 256, kShortScores = 1 << 24;

double sum_of(const std::vector<MemoryPart>& parts) {
  double sum = 0;
  for (const auto& part : parts) sum += part.bytes.host + part.bytes.device;
  return sum;
}

double real(std::int64_t number) { return static_cast<double>(number); }

// Matrices that get an adapter.
struct Adapted {
  double numbers = 0;              // of A, B and, with DoRA, the magnitudes
  double matrices = 0;             // numbers of the matrices themselves
  double inputs = 0, outputs = 0;  // widths, over the matrices of one layer
  double count = 0;                // in one layer
};

Adapted adapted_of(const WorkerSizes& sizes) {
  const config::TuningSection& t = sizes.experiment.tuning;
  Adapted adapted;
  if (t.method == "full") return adapted;
  const auto roles = training::parse_targets(t.targets);
  for (const model::ParameterInfo& info : model::parameter_infos(sizes.model)) {
    if (info.bias || std::find(roles.begin(), roles.end(), info.role) == roles.end()) continue;
    const double out = real(info.shape[0]), in = real(info.shape[1]);
    adapted.numbers += real(t.rank) * (out + in) + (t.method == "dora" ? out : 0);
    adapted.matrices += out * in;
    adapted.inputs += in / real(sizes.model.layers);
    adapted.outputs += out / real(sizes.model.layers);
    adapted.count += 1 / real(sizes.model.layers);
  }
  return adapted;
}

// Sizes of numbers in a pass: of the residual stream, and of what products read and give.
struct Formats {
  double stream = 4, product = 4;
  bool cpu = true;
};

Formats formats_of(const WorkerSizes& sizes, bool autocast) {
  const config::Experiment& e = sizes.experiment;
  Formats made;
  made.cpu = !on_device(e);
  made.stream = e.model.dtype == "bfloat16" ? 2 : 4;
  made.product = autocast && e.training.precision == "bfloat16_autocast" ? 2 : made.stream;
  return made;
}

// A norm's input and output, by token; the RMS norm by tensor operations keeps its scaled input too.
double kept_by_norm(const model::Config& m, const Formats& f) {
  const double width = real(m.hidden);
  if (m.norm == model::NormKind::kRms && !(f.cpu && f.stream == 4)) return width * (4 + f.stream + f.product);
  return width * (4 + f.product);
}

double kept_by_attention(const model::Config& m, const Formats& f, double tokens, double length) {
  const double query = real(m.query_width()), kv = real(m.kv_width()), heads = real(m.heads);
  const bool whole = f.cpu && length <= kShortTokens && tokens * length * heads <= kShortScores;
  if (whole) return 4 * (query + 2 * kv + heads * length) + f.product * query;
  // Keys and values are copied for every query head.
  return f.product * 4 * query + 4 * heads;
}

double kept_by_mlp(const model::Config& m, const Formats& f) {
  const bool fused = f.cpu && m.activation == model::Activation::kSilu;
  return f.product * real(m.mlp_width) * (!m.gated_mlp ? 2 : fused ? 3 : 4);
}

double kept_by_adapters(const WorkerSizes& sizes, const Formats& f) {
  const config::TuningSection& t = sizes.experiment.tuning;
  const Adapted adapted = adapted_of(sizes);
  double width = adapted.count * real(t.rank);
  if (t.dropout > 0) width += 2 * adapted.inputs;
  if (t.method == "dora") width += (t.dropout > 0 ? 2 : 1) * adapted.outputs;
  return f.product * width;
}

class TrainingCounter {
 public:
  explicit TrainingCounter(const WorkerSizes& sizes)
      : sizes_(sizes),
        e_(sizes.experiment),
        m_(sizes.model),
        adapted_(adapted_of(sizes)),
        full_(e_.tuning.method == "full"),
        narrow_(e_.model.dtype == "bfloat16"),
        formats_(formats_of(sizes, true)),
        numbers_(numbers_of(sizes.model)),
        trained_(full_ ? numbers_ : adapted_.numbers),
        embedding_(real(m_.vocabulary) * real(m_.hidden)) {}

  std::vector<MemoryPart> parts() const {
    std::vector<MemoryPart> all = weights();
    std::vector<MemoryPart> forward = end_of_forward(), backward = end_of_backward();
    for (auto& part : sum_of(forward) > sum_of(backward) ? forward : backward) all.push_back(std::move(part));
    return all;
  }

 private:
  bool masters() const { return full_ && narrow_ && e_.training.masters == "float32"; }
  bool autocasts() const { return !narrow_ && formats_.product == 2; }
  double gradient_bytes() const { return full_ && narrow_ && !masters() ? 2 : 4; }

  // What is held from the first step to the last.
  std::vector<MemoryPart> weights() const {
    std::vector<MemoryPart> all;
    if (full_) {
      all.push_back(beside_model(e_, "copies that are trained", (narrow_ && !masters() ? 2 : 4) * numbers_));
    } else {
      all.push_back(beside_model(e_, "adapters", 4 * adapted_.numbers));
      all.push_back(beside_model(e_, "merged matrices, as last looked at", (narrow_ ? 2 : 4) * adapted_.matrices));
    }
    if (masters()) {
      all.push_back(beside_model(e_, "their rounding in a pass", 2 * numbers_));
      all.push_back(beside_model(e_, "their rounding as last looked at", 2 * numbers_));
    }
    MemoryPart moments = beside_model(e_, "two moments of AdamW", 8 * trained_);
    if (e_.training.optimizer_state == "host") moments.bytes = {8 * trained_, 0};
    all.push_back(std::move(moments));
    // A layer that is run again leaves nothing in autocast's cache.
    if (autocasts()) {
      const double layers = e_.training.activation_checkpointing ? real(m_.layers) : 1;
      all.push_back(beside_model(e_, "matrices in bfloat16", 2 * matrices_of(m_, 0, m_.layers) / layers));
    }
    return all;
  }

  double tokens() const { return real(e_.training.batch_size) * real(e_.training.block_size); }

  KeptForBackward kept() const { return kept_for_backward(sizes_, tokens(), real(e_.training.block_size), true); }

  std::vector<MemoryPart> end_of_forward() const {
    const KeptForBackward layer = kept();
    const double layers = real(m_.layers);
    std::vector<MemoryPart> all;
    all.push_back(
        e_.training.activation_checkpointing
            ? beside_model(e_, "inputs of the layers, and one layer's activations", layers * layer.input + layer.layer)
            : beside_model(e_, "activations", layers * layer.layer));
    if (!on_device(e_) && !e_.training.activation_checkpointing)
      all.push_back(beside_model(e_, "holes between them", kHoles * layers * layer.layer));
    // About what the layer keeps, once more as gradients.
    all.push_back(beside_model(e_, "the first layer's backward pass", layer.layer));
    all.push_back(beside_model(e_, "a chunk of logits", chunk()));
    if (const double head = widened_head(sizes_, formats_.product == 2); head > 0)
      all.push_back(beside_model(e_, "the head's weight in float32", head));
    all.push_back(beside_model(e_, "the head's input and its gradient",
                               tokens() * (kept_by_norm(m_, formats_) + formats_.product * real(m_.hidden))));
    if (full_) all.push_back(beside_model(e_, "the head's gradient", head_gradient()));
    if (e_.training.accumulation > 1)
      all.push_back(beside_model(e_, "gradients of earlier passes", gradient_bytes() * trained_));
    return all;
  }

  // Chunks of like size, of whole rows (model/head: ChunkedLogits).
  double chunk() const {
    const double rows = std::max(1.0, tokens() - real(e_.training.batch_size)), vocabulary = real(m_.vocabulary);
    const double most = std::clamp(std::floor(kLogitChunk / vocabulary), 1.0, rows);
    const double chunks = std::ceil(rows / most);
    return std::ceil(rows / chunks) * vocabulary * logit_bytes();
  }
  double logit_bytes() const {
    // Elsewhere than on the CPU they are widened, and their log-softmax is a tensor of its own.
    if (!formats_.cpu) return formats_.product + 8;
    return widened_head(sizes_, formats_.product == 2) > 0 ? 4 : formats_.product;
  }

  // Added up in float32; in bfloat16 with the weight's copy and a chunk's part beside it.
  double head_gradient() const { return embedding_ * (formats_.product == 2 ? 4 + 2 + 2 : 4); }

  std::vector<MemoryPart> end_of_backward() const {
    std::vector<MemoryPart> all;
    all.push_back(beside_model(e_, "gradients", gradient_bytes() * trained_));
    // The lowest layer's are still there when the last gradients are made.
    all.push_back(beside_model(e_, "activations of one layer", kept().layer));
    // The embedding's gradient is added up in float32 before it is rounded.
    if (full_ && narrow_) all.push_back(beside_model(e_, "the embedding's gradient in float32", 4 * embedding_));
    return all;
  }

  const WorkerSizes& sizes_;
  const config::Experiment& e_;
  const model::Config& m_;
  Adapted adapted_;
  bool full_, narrow_;
  Formats formats_;
  double numbers_, trained_, embedding_;
};

}  // namespace

double numbers_of(const model::Config& config) {
  double numbers = 0;
  for (const model::ParameterInfo& info : model::parameter_infos(config)) {
    double own = 1;
    for (const std::int64_t axis : info.shape) own *= real(axis);
    numbers += own;
  }
  return numbers;
}

double matrices_of(const model::Config& config, std::int64_t begin, std::int64_t end) {
  double numbers = 0;
  for (const model::ParameterInfo& info : model::parameter_infos(config)) {
    if (info.layer >= begin && info.layer < end && info.shape.size() == 2)
      numbers += real(info.shape[0]) * real(info.shape[1]);
  }
  return numbers;
}

KeptForBackward kept_for_backward(const WorkerSizes& sizes, double tokens, double length, bool autocast) {
  const model::Config& m = sizes.model;
  const Formats f = formats_of(sizes, autocast);
  const double norms = (m.mlp_norm ? 2 : 1) * kept_by_norm(m, f);
  KeptForBackward kept;
  kept.input = tokens * f.stream * real(m.hidden);
  kept.layer = tokens * (norms + kept_by_attention(m, f, tokens, length) + kept_by_mlp(m, f) +
                         (sizes.experiment.tuning.method == "full" ? 0 : kept_by_adapters(sizes, f)));
  return kept;
}

std::vector<MemoryPart> training_parts(const WorkerSizes& sizes) { return TrainingCounter(sizes).parts(); }

}  // namespace palimpsest::app
