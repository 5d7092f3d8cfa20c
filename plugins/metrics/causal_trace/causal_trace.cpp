// Where a model keeps a fact: the states whose restoration brings its answer back after the subject was made
// unreadable (Meng et al. 2022, section 2).
//
// Per fact one clean run and one of all noisy samples; then, from the layer where something is restored, all tokens and
// samples side by side. Tokens before the subject are the same in every run: they run once, and their keys and values
// are kept.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/columns.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/torch.hpp"
#include "places.hpp"

namespace palimpsest::causal_trace {
namespace {

constexpr const char* kWhen[] = {"base", "ends", nullptr};
constexpr const char* kKinds[] = {"hidden", "mlp", "attention", nullptr};
// Tokens that run together: enough for products of full speed, and a bound on memory.
constexpr std::int64_t kTokensAtOnce = 2048;

constexpr palimpsest_column kColumns[] = {
    sdk::plain_column("kind", PALIMPSEST_TEXT, "",
                      "What is restored: hidden (the output of one layer), mlp or attention (the outputs of these in a "
                      "window of layers, of which layer is the middle)."),
    sdk::plain_column("layer", PALIMPSEST_INT64, "1", "Layer counted from 0, or -1 for what belongs to none."),
    sdk::plain_column("position", PALIMPSEST_INT64, "1", "Place of the token in the prompt, counted from 0."),
    sdk::plain_column("token_class", PALIMPSEST_TEXT, "",
                      "first_subject, middle_subject, last_subject, first_subsequent, further or last; tokens before "
                      "the subject are never corrupted and have no effect."),
    sdk::plain_column("effect", PALIMPSEST_FLOAT64, "1",
                      "Indirect effect: p(answer) with the state restored, minus p(answer) without, both with the "
                      "subject's embeddings corrupted; mean over the samples of the noise."),
    sdk::plain_column("total_effect", PALIMPSEST_FLOAT64, "1",
                      "p(answer) of the clean run minus that of the corrupted one: what there is to restore."),
    sdk::plain_column("clean_probability", PALIMPSEST_FLOAT64, "1", "p(answer) of the clean run."),
    sdk::plain_column("answer", PALIMPSEST_TEXT, "",
                      "The token that the model gives first after the prompt, whose probability is traced."),
};

// A fact's prompt, cut where its subject begins.
struct Traced {
  std::vector<std::int64_t> prefix, suffix;
  Range subject;  // in the prompt
  std::int64_t tokens = 0;

  std::int64_t length() const { return static_cast<std::int64_t>(suffix.size()); }
};

// The runs of one fact.
class Trace {
 public:
  Trace(const sdk::Model& model, const Traced& traced, at::Tensor noise)
      : model_(model), traced_(traced), noise_(std::move(noise)), layers_(model.info().layers) {
    if (!traced_.prefix.empty()) cache_ = model_.run(sdk::Forward({traced_.prefix}).returning_cache()).cache;
    run_clean();
    run_corrupted();
  }

  std::int64_t answer() const { return answer_; }
  double clean() const { return clean_probability_; }
  double corrupted() const { return corrupted_probability_; }

  // Mean p(answer) over the samples for each token of the suffix: its layer's output restored.
  std::vector<double> hidden(std::int64_t layer) const {
    return restored([&](const std::vector<Run>& runs, sdk::Forward& forward) {
      at::Tensor entering = corrupted_at(layer, runs);
      for (std::size_t r = 0; r < runs.size(); ++r) {
        entering[static_cast<std::int64_t>(r)][runs[r].token].copy_(clean_.at(out(layer))[0][runs[r].token]);
      }
      forward.from_layer(layer + 1, sdk::to_handle(model_.host(), entering));
    });
  }

  // The same with the outputs of `site` restored in the layers [window.begin, window.end).
  std::vector<double> window(std::string_view site, const Range& window) const {
    return restored([&](const std::vector<Run>& runs, sdk::Forward& forward) {
      if (window.begin > 0) {
        forward.from_layer(window.begin, sdk::to_handle(model_.host(), corrupted_at(window.begin - 1, runs)));
      } else {
        corrupt(forward, runs);
      }
      std::vector<sdk::Position> at;
      std::vector<std::int64_t> tokens;
      for (std::size_t r = 0; r < runs.size(); ++r) {
        at.push_back({static_cast<std::int64_t>(r), runs[r].token});
        tokens.push_back(runs[r].token);
      }
      for (std::int64_t layer = window.begin; layer < window.end; ++layer) {
        const at::Tensor& values = clean_.at(sdk::layer_site(layer, site));
        forward.replace(sdk::layer_site(layer, site), PALIMPSEST_REPLACE_SET, at,
                        sdk::to_handle(model_.host(), values[0].index_select(0, sdk::on_device_of(values, tokens))));
      }
    });
  }

 private:
  // A row of a restoring pass: which token is restored, in which sample of the noise.
  struct Run {
    std::int64_t token, sample;
  };

  static std::string out(std::int64_t layer) { return sdk::layer_out_site(layer); }

  sdk::Forward forward_of(std::int64_t rows) const {
    sdk::Forward forward(std::vector<std::vector<std::int64_t>>(static_cast<std::size_t>(rows), traced_.suffix));
    if (cache_.get() != nullptr)
      forward.continuing(cache_, std::vector<std::int64_t>(static_cast<std::size_t>(rows), 0));
    return forward;
  }

  // p(answer) at the last token of each row.
  std::vector<double> run(sdk::Forward& forward, std::int64_t rows, std::vector<at::Tensor>* captured = nullptr) const {
    std::vector<sdk::Position> at;
    for (std::int64_t row = 0; row < rows; ++row) at.push_back({row, traced_.length() - 1});
    forward.logprobs(at, std::vector<std::int64_t>(static_cast<std::size_t>(rows), answer_));
    const sdk::ForwardResult result = model_.run(forward);
    std::vector<double> probabilities = result.logprobs.numbers();
    for (double& p : probabilities) p = std::exp(p);
    if (captured != nullptr) {
      for (const auto& tensor : result.captured) captured->push_back(sdk::torch_tensor(tensor));
    }
    return probabilities;
  }

  void run_clean() {
    sdk::Forward forward = forward_of(1);
    std::vector<std::string> sites;
    for (std::int64_t layer = 0; layer < layers_; ++layer) {
      for (const char* point : {"out", "mlp.value", "attention.out"}) sites.push_back(sdk::layer_site(layer, point));
    }
    for (const auto& site : sites) forward.capture(site);
    forward.logits({{0, traced_.length() - 1}});
    const sdk::ForwardResult result = model_.run(forward);
    for (std::size_t i = 0; i < sites.size(); ++i) clean_[sites[i]] = sdk::torch_tensor(result.captured[i]);
    const at::Tensor log_p = at::log_softmax(sdk::torch_tensor(result.logits)[0].to(at::kDouble), 0);
    answer_ = log_p.argmax().item<std::int64_t>();
    clean_probability_ = std::exp(log_p[answer_].item<double>());
  }

  // The noise on the subject's embeddings in every row of `runs`.
  void corrupt(sdk::Forward& forward, const std::vector<Run>& runs) const {
    std::vector<sdk::Position> at;
    std::vector<std::int64_t> samples;
    for (std::size_t r = 0; r < runs.size(); ++r) {
      for (std::int64_t t = 0; t < noise_.size(1); ++t) at.push_back({static_cast<std::int64_t>(r), t});
      samples.push_back(runs[r].sample);
    }
    const at::Tensor noise = noise_.index_select(0, sdk::on_device_of(noise_, samples)).flatten(0, 1);
    forward.replace("embed.out", PALIMPSEST_REPLACE_ADD, at, sdk::to_handle(model_.host(), noise));
  }

  void run_corrupted() {
    std::vector<Run> runs;
    for (std::int64_t sample = 0; sample < noise_.size(0); ++sample) runs.push_back({0, sample});
    sdk::Forward forward = forward_of(noise_.size(0));
    corrupt(forward, runs);
    for (std::int64_t layer = 0; layer < layers_; ++layer) forward.capture(out(layer));
    const auto probabilities = run(forward, noise_.size(0), &corrupted_);
    double sum = 0;
    for (const double p : probabilities) sum += p;
    corrupted_probability_ = sum / static_cast<double>(probabilities.size());
  }

  // [runs, tokens, hidden]: what leaves `layer` in the corrupted samples; a copy.
  at::Tensor corrupted_at(std::int64_t layer, const std::vector<Run>& runs) const {
    const at::Tensor& all = corrupted_.at(static_cast<std::size_t>(layer));
    std::vector<std::int64_t> samples;
    for (const Run& run : runs) samples.push_back(run.sample);
    return all.index_select(0, sdk::on_device_of(all, samples));
  }

  // `prepare` sets up the pass of some rows.
  template <typename Prepare>
  std::vector<double> restored(const Prepare& prepare) const {
    std::vector<Run> all;
    for (std::int64_t token = 0; token < traced_.length(); ++token) {
      for (std::int64_t sample = 0; sample < noise_.size(0); ++sample) all.push_back({token, sample});
    }
    std::vector<double> means(traced_.suffix.size(), 0);
    const std::size_t step = static_cast<std::size_t>(std::max<std::int64_t>(1, kTokensAtOnce / traced_.length()));
    for (std::size_t begin = 0; begin < all.size(); begin += step) {
      const std::vector<Run> runs(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                  all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), begin + step)));
      const auto rows = static_cast<std::int64_t>(runs.size());
      sdk::Forward forward = forward_of(rows);
      prepare(runs, forward);
      const auto probabilities = run(forward, rows);
      for (std::size_t r = 0; r < runs.size(); ++r)
        means[static_cast<std::size_t>(runs[r].token)] += probabilities[r] / static_cast<double>(noise_.size(0));
    }
    return means;
  }

  const sdk::Model& model_;
  const Traced& traced_;
  at::Tensor noise_;  // [samples, subject tokens, hidden]
  std::int64_t layers_;
  sdk::Cache cache_;                         // of the prefix
  std::map<std::string, at::Tensor> clean_;  // by site, [1, tokens, D]
  std::vector<at::Tensor> corrupted_;        // by layer, [samples, tokens, hidden]
  std::int64_t answer_ = 0;
  double clean_probability_ = 0, corrupted_probability_ = 0;
};

class CausalTrace : public sdk::Metric {
 public:
  struct Parameters {
    std::int64_t samples = 10;
    double noise = 3;
    std::int64_t window = 0;
    sdk::List<sdk::Text> kinds{};
    std::int64_t facts = 0;
    sdk::Text when = "base";

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("samples", &Parameters::samples, "Samples of the noise that an effect is averaged over.")
              .at_least(1)
              .at_most(1000),
          field("noise", &Parameters::noise,
                "Standard deviation of the noise, in multiples of that of the embeddings of all facts' subjects.")
              .at_least(0),
          field("window", &Parameters::window,
                "Layers restored together with kinds mlp and attention; 0: as many of this model's as 10 are of 48.")
              .unit("layers")
              .at_least(0),
          field("kinds", &Parameters::kinds, "What is restored, each in runs of its own; empty: all three.")
              .choices(kKinds),
          field("facts", &Parameters::facts, "Facts that are traced, the first ones; 0: all.")
              .unit("facts")
              .at_least(0),
          field("when", &Parameters::when, "\"base\": the unedited model; \"ends\": at edited and finetuned too.")
              .choices(kWhen));
    }
  };
  static constexpr sdk::Info kInfo{
      "causal_trace", "1.1.0", "Which layers and tokens bring a fact's answer back when its subject is unreadable."};

  CausalTrace(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  std::uint32_t when() const override {
    if (std::string_view(p_.when) == "base") return PALIMPSEST_WHEN_BASE;
    return PALIMPSEST_WHEN_BASE | PALIMPSEST_WHEN_EDITED | PALIMPSEST_WHEN_FINETUNED;
  }
  std::span<const palimpsest_column> columns() const override { return kColumns; }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    const c10::NoGradGuard no_grad;
    std::size_t count = request.facts.size();
    if (p_.facts > 0) count = std::min(count, static_cast<std::size_t>(p_.facts));
    // The noise is scaled by all facts' subjects, however few are traced.
    std::vector<Traced> traced;
    for (const auto& fact : request.facts) traced.push_back(traced_of(fact));
    if (traced.empty()) return;
    const at::Tensor embeddings = sdk::torch_tensor(request.model.parameter("embed.weight"));
    const double spread = p_.noise * subject_spread(traced, embeddings);
    for (std::size_t i = 0; i < count; ++i) {
      host_.stop_if_cancelled();
      host_.progress("causal traces", static_cast<std::int64_t>(i), static_cast<std::int64_t>(count), "fact");
      const at::Tensor noise = spread * noise_of(request.facts[i].id(), traced[i], embeddings.size(1));
      trace(request.model, traced[i], noise.to(embeddings.device()), static_cast<std::int64_t>(i), rows);
    }
  }

 private:
  Traced traced_of(const sdk::Fact& fact) const {
    const std::string form = fact.prompt(), subject = fact.subject();
    const sdk::Tokens tokens = host_.encode(sdk::fill(form, subject), PALIMPSEST_ENCODE_PROMPT);
    const std::size_t begin = form.find("{}");
    Traced made;
    made.subject = subject_tokens(tokens.offsets, begin, begin + subject.size());
    if (begin == std::string::npos || made.subject.begin == made.subject.end) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "fact ", fact.id(), ": no token of the prompt belongs to the subject \"",
                subject, "\"");
    }
    const auto cut = tokens.ids.begin() + made.subject.begin;
    made.prefix.assign(tokens.ids.begin(), cut);
    made.suffix.assign(cut, tokens.ids.end());
    made.tokens = static_cast<std::int64_t>(tokens.ids.size());
    return made;
  }

  // Standard deviation of all numbers in the embeddings of all facts' subject tokens.
  static double subject_spread(const std::vector<Traced>& traced, const at::Tensor& embeddings) {
    std::vector<std::int64_t> ids;
    for (const Traced& one : traced) {
      const auto count = static_cast<std::ptrdiff_t>(one.subject.end - one.subject.begin);
      ids.insert(ids.end(), one.suffix.begin(), one.suffix.begin() + count);
    }
    const at::Tensor index = sdk::on_device_of(embeddings, ids);
    return embeddings.index_select(0, index).to(at::kDouble).std().item<double>();
  }

  // Standard normal, [samples, subject tokens, hidden]: the same for a fact at every measuring point.
  at::Tensor noise_of(const std::string& fact, const Traced& traced, std::int64_t hidden) {
    at::Tensor& known = noise_[fact];
    if (known.defined()) return known;
    const auto tokens = static_cast<std::int64_t>(traced.subject.end - traced.subject.begin);
    const std::vector<double> drawn = host_.normal(fact, static_cast<std::size_t>(p_.samples * tokens * hidden));
    known = at::empty({p_.samples, tokens, hidden}, at::kDouble);
    std::copy(drawn.begin(), drawn.end(), known.mutable_data_ptr<double>());
    return known;
  }

  bool wants(std::string_view kind) const {
    if (p_.kinds.empty()) return true;
    return std::any_of(p_.kinds.begin(), p_.kinds.end(), [&](std::string_view wanted) { return wanted == kind; });
  }

  void trace(const sdk::Model& model, const Traced& traced, const at::Tensor& noise, std::int64_t fact,
             const sdk::Rows& rows) const {
    const std::int64_t layers = model.info().layers;
    const std::int64_t width = p_.window > 0 ? p_.window : scaled_window(layers);
    const Trace trace(model, traced, noise);
    const std::string answer = host_.decode({trace.answer()});
    for (const char* const* kind = kKinds; *kind != nullptr; ++kind) {
      const std::string_view name = *kind;
      if (!wants(name)) continue;
      for (std::int64_t layer = 0; layer < layers; ++layer) {
        host_.stop_if_cancelled();
        const Range window = window_around(layer, width, layers);
        const auto restored = name == "hidden" ? trace.hidden(layer)
                                               : trace.window(name == "mlp" ? "mlp.value" : "attention.out", window);
        for (std::size_t i = 0; i < restored.size(); ++i) {
          const std::int64_t token = traced.subject.begin + static_cast<std::int64_t>(i);
          rows.row(fact,
                   {std::string(name), layer, token, std::string(token_class(token, traced.subject, traced.tokens)),
                    restored[i] - trace.corrupted(), trace.clean() - trace.corrupted(), trace.clean(), answer});
        }
      }
    }
  }

  sdk::Host host_;
  Parameters p_;
  std::map<std::string, at::Tensor> noise_;  // by fact
};

}  // namespace
}  // namespace palimpsest::causal_trace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::causal_trace::CausalTrace>)
