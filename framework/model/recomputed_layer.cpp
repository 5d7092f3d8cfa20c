#include "model/recomputed_layer.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>
#include <vector>

#include "model/autocast.hpp"
#include "model/work.hpp"

namespace palimpsest::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Sets autocast, and turns off its cache: that would keep the casts of a layer's weights after the layer, and give
// those of the run without a graph to runs that need one.
class AutocastScope {
 public:
  explicit AutocastScope(const Autocast& wanted)
      : before_(Autocast::of(wanted.device)), cache_before_(at::autocast::is_autocast_cache_enabled()) {
    set(wanted, false);
  }
  ~AutocastScope() { set(before_, cache_before_); }
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  static void set(const Autocast& to, bool cache) {
    to.set();
    at::autocast::set_autocast_cache_enabled(cache);
  }

  Autocast before_;
  bool cache_before_;
};

// The weights of one layer, and what stands in place of some of them.
struct LayerWeights {
  std::vector<ParameterInfo> infos;
  std::vector<at::Tensor> tensors;
  Overrides overrides;

  LayerWeights(const Weights& all, std::int64_t layer) {
    const Parameters& parameters = all.parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (parameters.infos()[i].layer != layer) continue;
      infos.push_back(parameters.infos()[i]);
      tensors.push_back(parameters[i]);
    }
    for (const auto& [name, change] : all.overrides()) {
      if (parameters.info(name).layer == layer) overrides.emplace(name, change);
    }
  }

  // Calls use(tensor) for each that requires grad, always in the same order; it may exchange the tensor.
  template <typename Use>
  void for_each_trained(Use use) {
    const auto visit = [&use](at::Tensor& tensor) {
      if (tensor.defined() && tensor.requires_grad()) use(tensor);
    };
    for (at::Tensor& tensor : tensors) visit(tensor);
    for (auto& [name, change] : overrides) {
      for (at::Tensor* tensor : {&change.dense, &change.u, &change.v, &change.row_scale}) visit(*tensor);
    }
  }
};

// What a backward pass runs the layer with: the pass itself is gone by then.
struct Rerun : torch::CustomClassHolder {
  Config config;
  PassTokens tokens;
  std::int64_t number;
  LayerWeights weights;
  Autocast autocast;

  Rerun(const Config& of, PassTokens seen, std::int64_t layer, LayerWeights used, Autocast cast)
      : config(of), tokens(std::move(seen)), number(layer), weights(std::move(used)), autocast(cast) {}

  at::Tensor run(const LayerWeights& with, const at::Tensor& x) const {
    const Parameters parameters(with.infos, with.tensors);
    const AutocastScope scope(autocast);
    return run_layer(config, Weights(parameters, with.overrides), tokens, number, x);
  }
};

class RecomputedLayer : public torch::autograd::Function<RecomputedLayer> {
 public:
  // `trained`: the weights that require grad, in their order.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, at::TensorList trained,
                            const c10::intrusive_ptr<Rerun>& rerun) {
    // Saved although `rerun` holds them: autograd then refuses a backward pass after one was written into.
    variable_list saved = {x};
    saved.insert(saved.end(), trained.begin(), trained.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["rerun"] = c10::IValue::make_capsule(rerun);
    return rerun->run(rerun->weights, x);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto rerun = c10::static_intrusive_pointer_cast<Rerun>(context->saved_data["rerun"].toCapsule());
    // The second run has a graph of its own, which ends at leaves in place of x and the weights.
    variable_list leaves;
    for (std::size_t i = 0; i < saved.size(); ++i) {
      leaves.push_back(saved[i].detach().requires_grad_(context->needs_input_grad(i)));
    }
    LayerWeights weights = rerun->weights;
    std::size_t next = 1;
    weights.for_each_trained([&](at::Tensor& tensor) { tensor = leaves[next++]; });
    at::Tensor y;
    {
      const c10::AutoGradMode grad_mode(true);
      y = rerun->run(weights, leaves[0]);
    }
    const Batch& batch = rerun->tokens.batch;
    count_work({.layer_tokens = batch.count(),
                .padded_layer_tokens = batch.rows() * batch.tokens(),
                .recomputed_layer_tokens = batch.count()});
    variable_list wanted;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      if (!leaves[i].requires_grad()) continue;
      wanted.push_back(leaves[i]);
      places.push_back(i);
    }
    const variable_list made =
        torch::autograd::grad({y}, wanted, {gradients[0]}, /*retain_graph=*/false, /*create_graph=*/false,
                              /*allow_unused=*/true);
    variable_list result(saved.size() + 1);  // the last one stands for `rerun`
    for (std::size_t i = 0; i < places.size(); ++i) result[places[i]] = made[i];
    return result;
  }
};

}  // namespace

at::Tensor run_recomputed_layer(const Config& config, const Weights& weights, const PassTokens& tokens,
                                std::int64_t number, const at::Tensor& x) {
  if (!c10::GradMode::is_enabled()) return run_layer(config, weights, tokens, number, x);
  LayerWeights own(weights, number);
  std::vector<at::Tensor> trained;
  own.for_each_trained([&](const at::Tensor& tensor) { trained.push_back(tensor); });
  if (trained.empty() && !x.requires_grad()) return run_layer(config, weights, tokens, number, x);
  const auto rerun =
      c10::make_intrusive<Rerun>(config, tokens, number, std::move(own), Autocast::of(x.device().type()));
  return RecomputedLayer::apply(x, at::TensorList(trained), rerun);
}

}  // namespace palimpsest::model
