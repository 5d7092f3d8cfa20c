// Why an edit is forgotten: is its key still made, is its value still stored, is the value still read (README.md).
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "editing/prompts.hpp"
#include "editing/recorded.hpp"
#include "palimpsest/sdk/columns.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::mechanism {
namespace {

using sdk::Stage;

constexpr palimpsest_column kColumns[] = {
    sdk::plain_column("edited_layers", PALIMPSEST_INT64, "1",
                      "Layers whose down-projection the edit of the fact changed."),
    sdk::mean_column("addressing", "1",
                     "Does the subject still make the key: <dW k_t, dW k_0> / |dW k_0|^2, numerator and denominator "
                     "summed over the edited layers; k_0 at edited, k_t now."),
    sdk::mean_column("storage", "1",
                     "Was the update overwritten: <(W_t - W_edited) k_0, dW k_0> / |dW k_0|^2, summed in the same way; "
                     "0 is untouched, -1 is taken back."),
    sdk::mean_column("readout", "1",
                     "Do the layers above still read it: p(target_new), all its tokens, with the edited layers' MLP "
                     "outputs at the subject's last token forced to their values at edited."),
    sdk::mean_column("probability_new", "1",
                     "What readout is compared with: p(target_new), all its tokens, with nothing forced."),
};

// Facts that run together: bounds the memory of captured sites.
constexpr std::size_t kFactsAtOnce = 64;

// One edited fact on its way through the passes.
struct Probe {
  std::int64_t fact;         // index in the request
  editing::LookupRow row;    // prompt and target but its last token
  std::int64_t prompt_size;  // tokens
  std::vector<std::int64_t> target;
  editing::FactUpdates updates;
  std::vector<std::int64_t> layers;  // ascending
  double along_now = 0, along_change = 0, squares = 0;
  double probability = 0, readout = 0;
};

class Mechanism : public sdk::Metric {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"mechanism", "1.1.0",
                                   "Splits forgetting in three: addressing, storage and readout of each edit."};

  Mechanism(sdk::Host host, const Parameters&) : host_(host) {}

  std::uint32_t when() const override {
    return PALIMPSEST_WHEN_EDITED | PALIMPSEST_WHEN_STEP | PALIMPSEST_WHEN_FINETUNED;
  }
  std::span<const palimpsest_column> columns() const override { return kColumns; }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    const c10::NoGradGuard no_grad;
    std::vector<Probe> probes = probes_of(request);
    for (std::size_t begin = 0; begin < probes.size(); begin += kFactsAtOnce) {
      host_.stop_if_cancelled();
      const std::span<Probe> some = std::span(probes).subspan(begin, std::min(kFactsAtOnce, probes.size() - begin));
      run(request.model, some);
      for (const Probe& probe : some) emit(probe, rows);
    }
  }

 private:
  std::vector<Probe> probes_of(const sdk::MeasureRequest& request) const {
    std::map<std::string, std::int64_t, std::less<>> layer_of;  // of down-projections
    for (const auto& parameter : request.model.parameters()) {
      if (parameter.role == "mlp_down" && parameter.columns > 1) layer_of.emplace(parameter.name, parameter.layer);
    }
    const auto recorded = request.model.updates();
    std::vector<Probe> probes;
    for (std::size_t i = 0; i < request.facts.size(); ++i) {
      const sdk::Fact& fact = request.facts[i];
      if (fact.role() != "edited") continue;
      Probe& probe = probes.emplace_back();
      probe.fact = static_cast<std::int64_t>(i);
      probe.row = editing::lookup_row(host_, fact.prompt(), fact.subject());
      probe.prompt_size = static_cast<std::int64_t>(probe.row.ids.size());
      probe.target = host_.encode_target(fact.target_new());
      for (std::size_t t = 0; t + 1 < probe.target.size(); ++t) probe.row.ids.push_back(probe.target[t]);
      probe.updates = editing::updates_of_fact(recorded, fact.id());
      for (const auto& name : probe.updates.parameters) {
        if (const auto found = layer_of.find(name); found != layer_of.end()) probe.layers.push_back(found->second);
      }
      std::sort(probe.layers.begin(), probe.layers.end());
    }
    return probes;
  }

  void run(const sdk::Model& model, std::span<Probe> probes) const {
    std::set<std::int64_t> layers;
    std::vector<std::vector<std::int64_t>> rows;
    for (const Probe& probe : probes) {
      layers.insert(probe.layers.begin(), probe.layers.end());
      rows.push_back(probe.row.ids);
    }
    std::vector<sdk::Position> at;
    std::vector<std::int64_t> targets;
    for (std::size_t i = 0; i < probes.size(); ++i) {
      for (std::size_t t = 0; t < probes[i].target.size(); ++t) {
        at.push_back({static_cast<std::int64_t>(i), probes[i].prompt_size - 1 + static_cast<std::int64_t>(t)});
        targets.push_back(probes[i].target[t]);
      }
    }

    sdk::Forward now(rows);
    now.logprobs(at, targets);
    for (const std::int64_t layer : layers) now.capture(sdk::mlp_key_site(layer));
    const sdk::ForwardResult current = model.run(now);
    read_probabilities(current.logprobs, probes, &Probe::probability);
    if (layers.empty()) return;

    sdk::Forward then(rows);
    then.stage(Stage::kEdited).to_layer(*layers.rbegin());
    for (const std::int64_t layer : layers) then.capture(sdk::mlp_key_site(layer)).capture(sdk::mlp_value_site(layer));
    const sdk::ForwardResult edited = model.run(then);

    sdk::Forward forced(rows);
    forced.logprobs(at, targets);
    std::size_t place = 0;
    for (const std::int64_t layer : layers) {
      const at::Tensor& keys_now = sdk::torch_tensor(current.captured[place]);
      const at::Tensor& keys_then = sdk::torch_tensor(edited.captured[2 * place]);
      const at::Tensor& values_then = sdk::torch_tensor(edited.captured[2 * place + 1]);
      ++place;
      const std::string name = sdk::mlp_down_parameter(layer);
      const sdk::Tensor w_now = model.parameter(name), w_then = model.parameter(name, Stage::kEdited);
      const at::Tensor change = sdk::torch_tensor(w_now).to(at::kDouble) - sdk::torch_tensor(w_then).to(at::kDouble);
      std::vector<sdk::Position> lookups;
      std::vector<at::Tensor> stored;
      for (std::size_t i = 0; i < probes.size(); ++i) {
        Probe& probe = probes[i];
        if (!std::binary_search(probe.layers.begin(), probe.layers.end(), layer)) continue;
        const auto row = static_cast<std::int64_t>(i);
        add(probe, name, keys_then[row][probe.row.lookup], keys_now[row][probe.row.lookup], change);
        lookups.push_back({row, probe.row.lookup});
        stored.push_back(values_then[row][probe.row.lookup]);
      }
      forced.replace(sdk::mlp_value_site(layer), PALIMPSEST_REPLACE_SET, lookups,
                     sdk::to_handle(host_.get(), at::stack(stored)));
    }
    read_probabilities(model.run(forced).logprobs, probes, &Probe::readout);
  }

  // One layer's part of the sums.
  static void add(Probe& probe, const std::string& parameter, const at::Tensor& k_0, const at::Tensor& k_t,
                  const at::Tensor& change) {
    if (probe.updates.shared) return;
    at::Tensor then, now;  // dW k_0 and dW k_t
    for (const auto& update : probe.updates.own) {
      if (update.parameter != parameter) continue;
      const at::Tensor a = editing::change_of(update, k_0), b = editing::change_of(update, k_t);
      then = then.defined() ? then + a : a;
      now = now.defined() ? now + b : b;
    }
    probe.along_now += at::dot(now, then).item<double>();
    probe.along_change += at::dot(at::mv(change, k_0.to(at::kDouble)), then).item<double>();
    probe.squares += at::dot(then, then).item<double>();
  }

  static void read_probabilities(const sdk::Tensor& logprobs, std::span<Probe> probes, double Probe::* into) {
    const std::vector<double> numbers = logprobs.numbers();
    std::size_t place = 0;
    for (Probe& probe : probes) {
      double sum = 0;
      for (std::size_t t = 0; t < probe.target.size(); ++t) sum += numbers[place++];
      probe.*into = std::exp(sum);
    }
  }

  static void emit(const Probe& probe, const sdk::Rows& rows) {
    const bool known = probe.squares > 0;
    rows.row(probe.fact, {static_cast<std::int64_t>(probe.layers.size()),
                          known ? sdk::Value(probe.along_now / probe.squares) : sdk::missing,
                          known ? sdk::Value(probe.along_change / probe.squares) : sdk::missing,
                          probe.layers.empty() ? sdk::missing : sdk::Value(probe.readout), probe.probability});
  }

  sdk::Host host_;
};

}  // namespace
}  // namespace palimpsest::mechanism

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::mechanism::Mechanism>)
