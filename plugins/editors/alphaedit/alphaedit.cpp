// AlphaEdit: null-space constrained editing (Fang et al. 2025, arXiv 2410.02355), MEMIT's algorithm with another solve.
//
//   P projects on the eigenvectors of the raw second moment with small eigenvalues   (section 3.2; editing/solve)
//   dW^T solves (P (K K^T + cache) + L2 I) dW^T = P K R^T                              (equation 14; editing/solve)
//   cache += K K^T of every layer after each call                                     (K_p K_p^T; the state)
//
// The cache is kept as the keys themselves, [mlp, facts edited so far], as long as those are fewer than mlp.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <map>
#include <span>
#include <sstream>
#include <string>
#include <tuple>

#include "editing/prompts.hpp"
#include "editing/solve.hpp"
#include "editing/spread.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/store.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace {

using namespace palimpsest;

// What a stored null space consists of: its eigenvalues, and one of two bases.
constexpr const char* kEigenvalues = "eigenvalues";
constexpr const char* kBasis = "basis";
constexpr const char* kComplement = "complement";

class AlphaEdit : public sdk::StatefulEditor {
 public:
  struct Parameters : editing::SpreadParameters {
    double nullspace_threshold = 0.02;
    double nullspace_energy = 0;
    double L2 = 10;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple_cat(
          editing::SpreadParameters::fields(),
          std::tuple(
              field("nullspace_threshold", &Parameters::nullspace_threshold,
                    "Eigenvectors of the raw second moment with an eigenvalue below this are the null space that "
                    "updates stay in; 0: off, for nullspace_energy.")
                  .at_least(0),
              field("nullspace_energy", &Parameters::nullspace_energy,
                    "In place of nullspace_threshold, and the same for every model: the smallest eigenvalues that "
                    "together make at most this share of their sum; 0: off.")
                  .at_least(0)
                  .at_most(1),
              field("l2", &Parameters::L2, "Weight L2 of the update's own size in the solve.").at_least(0)));
    }
  };
  static constexpr sdk::Info kInfo{"alphaedit", "1.0.0",
                                   "MEMIT whose updates stay in the null space of known keys (Fang et al. 2025)."};

  AlphaEdit(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  sdk::Needs needs(const palimpsest_model_info& info) override {
    sdk::Needs needs = editing::spread_needs(p_, info);
    if ((p_.nullspace_threshold > 0) == (p_.nullspace_energy > 0)) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "nullspace_threshold is ", p_.nullspace_threshold,
                " and nullspace_energy is ", p_.nullspace_energy, "; expected exactly one of them above 0");
    }
    if (!(p_.L2 > 0)) sdk::fail(PALIMPSEST_OUT_OF_RANGE, "l2 is ", p_.L2, "; expected more than 0");
    needs.second_moments = needs.edits_layers;
    return needs;
  }

  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override {
    // The call's keys join the cache only once all of it has worked.
    std::map<std::int64_t, at::Tensor> keys_of;
    editing::spread_edits(
        host_, model, requests, contexts_.of(model, p_), p_,
        [&](std::int64_t layer, const at::Tensor& keys, const at::Tensor&) {
          const editing::NullSpace& null_space = null_space_of(model, layer);
          const auto earlier = cache_.find(layer);
          // With the first edits only: null space and spectrum are the model's, not the edit's.
          if (earlier == cache_.end()) record(layer, null_space, updates);
          keys_of[layer] = keys.to(null_space.basis().device());
          return editing::null_space_keys(null_space, keys, earlier == cache_.end() ? at::Tensor() : earlier->second,
                                          p_.L2);
        },
        updates);
    const c10::NoGradGuard no_grad;
    for (const auto& [layer, keys] : keys_of) {
      at::Tensor& cache = cache_[layer];
      cache = editing::compressed_factor(cache.defined() ? at::cat({cache, keys}, 1) : keys);
    }
  }

  void reset() override { cache_.clear(); }

  void save(const sdk::StateSink& sink) override {
    for (const auto& [layer, keys] : cache_) {
      sink.tensor(sdk::layer_site(layer, "keys"), sdk::to_handle(host_.get(), keys));
    }
  }

  void load(std::span<const sdk::StateTensor> state) override {
    std::map<std::int64_t, at::Tensor> loaded;
    for (const auto& [name, value] : state) {
      bool known = false;
      for (const auto layer : p_.layers) {
        if (name != sdk::layer_site(layer, "keys")) continue;
        loaded[layer] = sdk::torch_tensor(value);
        known = true;
      }
      if (!known) {
        sdk::fail(PALIMPSEST_CORRUPT, "the state holds ", name,
                  "; expected the keys of edited layers, layers.N.keys: it was saved with other layers");
      }
    }
    cache_ = std::move(loaded);
  }

 private:
  // Of the base model, so the same for every edit: one eigendecomposition serves all processes, of which there are as
  // many as facts where edits are isolated.
  const editing::NullSpace& null_space_of(const sdk::Model& model, std::int64_t layer) {
    if (const auto known = null_spaces_.find(layer); known != null_spaces_.end()) return known->second;
    std::ostringstream key;
    key << "null space, layer=" << layer << std::hexfloat << " threshold=" << p_.nullspace_threshold
        << " energy=" << p_.nullspace_energy;
    const sdk::Stored stored = sdk::get_or_compute(host_, model, key.str(), PALIMPSEST_STORE_ON_SECOND_MOMENTS, [&] {
      const editing::NullSpace made = compute_null_space(layer);
      sdk::Stored parts;
      parts.tensors[kEigenvalues] = sdk::to_handle(host_.get(), made.eigenvalues());
      parts.tensors[made.complement() ? kComplement : kBasis] = sdk::to_handle(host_.get(), made.basis());
      return parts;
    });
    const auto complement = stored.tensors.find(kComplement);
    const bool is_complement = complement != stored.tensors.end();
    const sdk::Tensor& basis = is_complement ? complement->second : stored.tensors.at(kBasis);
    const editing::NullSpace made(sdk::torch_tensor(stored.tensors.at(kEigenvalues)), sdk::torch_tensor(basis),
                                  is_complement);
    return null_spaces_.emplace(layer, made).first->second;
  }

  editing::NullSpace compute_null_space(std::int64_t layer) const {
    const sdk::Tensor moment = host_.second_moment_matrix(layer);
    const at::Tensor& c = sdk::torch_tensor(moment);
    editing::NullSpace made = p_.nullspace_energy > 0 ? editing::NullSpace::with_energy(c, p_.nullspace_energy)
                                                      : editing::NullSpace::below(c, p_.nullspace_threshold);
    if (made.rank() == 0) {
      const double least = made.eigenvalues()[0].item<double>();
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "the second moment of layer ", layer,
                " has no null space: its eigenvalues are ", least, " to ", made.eigenvalues()[-1].item<double>(),
                "; raise ", p_.nullspace_energy > 0 ? "nullspace_energy" : "nullspace_threshold");
    }
    return made;
  }

  static void record(std::int64_t layer, const editing::NullSpace& null_space, const sdk::Updates& updates) {
    updates.record(-1, "nullspace_rank", layer, static_cast<double>(null_space.rank()));
    const at::Tensor& values = null_space.eigenvalues();
    for (std::int64_t percent = 0; percent <= 100; percent += 5) {
      const std::int64_t at = percent * (values.size(0) - 1) / 100;
      updates.record(-1, "eigenvalue_percentile.layer_" + std::to_string(layer), percent, values[at].item<double>());
    }
  }

  sdk::Host host_;
  Parameters p_;
  editing::Contexts contexts_;
  std::map<std::int64_t, editing::NullSpace> null_spaces_;  // of the base model: no state
  std::map<std::int64_t, at::Tensor> cache_;                // K_0 [mlp, m] float64 on the CPU, by layer
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<AlphaEdit>)
