// FT, FT-L and FT-M: plain fine-tuning of a few weights on the edit requests, the baseline of every editing paper.
//
//   loss = mean over the requests of the mean over target tokens of -log p(token)   (FineTuning::loss_of)
//   prompt_last: every target token is read where the prompt ends, the target is not shown (FT and FT-L of Meng et al.
//   2022, section 3.4); target: teacher-forced (FT-M of Zhang et al. 2024).
//
// Adam on the weights, and after each step W <- clamp(W, W_0 - norm_constraint, W_0 + norm_constraint) (Zhu et al.
// 2020). Everything below the lowest trained layer is constant and runs once; nothing behind the last token that is
// read runs.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "editing/adam.hpp"
#include "palimpsest/sdk/facts.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace {

using namespace palimpsest;

constexpr const char* kLosses[] = {"prompt_last", "target", nullptr};
constexpr const char* kWeights[] = {"attention.query", "attention.key", "attention.value", "attention.out",
                                    "mlp.gate",        "mlp.up",        "mlp.down",        nullptr};

struct Parameters {
  sdk::List<std::int64_t> layers = {5};
  sdk::List<sdk::Text> weights = {"mlp.down"};
  sdk::Text loss = "prompt_last";
  std::int64_t num_steps = 25;
  double lr = 5e-4;
  double weight_decay = 0;
  double norm_constraint = 0;
  double stop_loss = 0.01;
  std::int64_t batch_size = 64;

  static constexpr auto fields() {
    using P = Parameters;
    using sdk::field;
    return std::tuple(
        field("layers", &P::layers, "Layers that are trained, counted from 0.").unit("layer").at_least(0),
        field("weights", &P::weights, "Matrices of each of these layers that are trained.").choices(kWeights),
        field(
            "loss", &P::loss,
            "Where target tokens are read: all at the prompt's last token (the published FT and FT-L), or each behind "
            "the tokens before it (FT-M).")
            .choices(kLosses),
        field("num_steps", &P::num_steps, "Passes over the requests.").at_least(1).at_most(10000),
        field("lr", &P::lr, "Adam's learning rate.").at_least(0),
        field("weight_decay", &P::weight_decay, "Weight times this is added to its gradient.").at_least(0),
        field("norm_constraint", &P::norm_constraint, "Largest change of any single weight; 0: unconstrained.")
            .at_least(0),
        field("stop_loss", &P::stop_loss, "A batch below this loss takes no step; a pass below it is the last.")
            .at_least(0),
        field("batch_size", &P::batch_size, "Requests of one step.").unit("requests").at_least(1).at_most(1000));
  }
};

// The requests of one step: rows of tokens, and which token is wanted where.
struct Batch {
  std::vector<std::vector<std::int64_t>> rows;
  std::vector<sdk::Position> at;
  std::vector<std::int64_t> targets;
  std::vector<float> weight;  // [targets]: 1 / (requests x target tokens of the request)
  at::Tensor hidden;          // input of the lowest trained layer; undefined for layer 0
};

struct Trained {
  std::string name;
  at::Tensor old, now;  // float32 [out, in]; `now` requires grad
  at::ScalarType dtype;
  editing::Adam adam;
};

class FineTuning : public sdk::Editor {
 public:
  using Parameters = ::Parameters;
  static constexpr sdk::Info kInfo{"ft", "1.0.0", "Fine-tunes chosen weights on the requests, bounded or not."};

  FineTuning(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  sdk::Needs needs(const palimpsest_model_info& info) override {
    if (p_.layers.empty()) sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "layers is empty; expected at least one layer");
    if (p_.weights.empty()) sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "weights is empty; expected at least one matrix");
    sdk::Needs needs;
    for (const auto layer : p_.layers) {
      if (layer >= info.layers) {
        sdk::fail(PALIMPSEST_OUT_OF_RANGE, "layers has ", layer, "; the model has layers 0 to ", info.layers - 1);
      }
      needs.edits_layers.push_back(layer);
    }
    refuse_repetition(p_.layers, "layers");
    refuse_repetition(p_.weights, "weights");
    return needs;
  }

  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override {
    std::vector<Batch> batches = batches_of(model, requests);
    std::vector<Trained> trained = trained_of(model);
    for (std::int64_t step = 0; step < p_.num_steps; ++step) {
      double sum = 0;
      for (const Batch& batch : batches) {
        host_.stop_if_cancelled();
        sum += train(model, batch, trained) * static_cast<double>(batch.rows.size());
      }
      const double mean = sum / static_cast<double>(requests.size());
      updates.record(-1, "loss", step, mean);
      host_.progress("ft", step + 1, p_.num_steps, "passes");
      if (mean < p_.stop_loss) break;
    }
    const c10::NoGradGuard no_grad;
    for (const Trained& weight : trained) {
      const at::Tensor delta = weight.now.detach() - weight.old;
      updates.dense(weight.name, sdk::to_handle(host_.get(), delta));
      updates.record(-1, "update_norm." + weight.name, -1, delta.norm().item<double>());
      updates.record(-1, "update_largest." + weight.name, -1, delta.abs().max().item<double>());
    }
  }

 private:
  template <typename T>
  static void refuse_repetition(const sdk::List<T>& list, const char* name) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (same(list[i], list[j])) {
          sdk::fail(PALIMPSEST_INVALID_ARGUMENT, name, " has an entry twice; expected each once");
        }
      }
    }
  }
  static bool same(std::int64_t a, std::int64_t b) { return a == b; }
  static bool same(std::string_view a, std::string_view b) { return a == b; }

  std::int64_t lowest() const { return *std::min_element(p_.layers.begin(), p_.layers.end()); }

  std::vector<Batch> batches_of(const sdk::Model& model, std::span<const sdk::EditRequest> requests) const {
    const bool forced = std::string_view(p_.loss) == "target";
    std::vector<Batch> batches;
    const auto close = [&] {
      if (batches.empty()) return;
      Batch& batch = batches.back();
      for (float& weight : batch.weight) weight /= static_cast<float>(batch.rows.size());
      if (lowest() == 0) return;
      const c10::NoGradGuard no_grad;
      batch.hidden = sdk::torch_tensor(model.run(sdk::Forward(batch.rows).to_layer(lowest() - 1)).hidden);
    };
    for (const auto& request : requests) {
      if (request.origin == PALIMPSEST_PROMPT_AS_CONTEXT) {
        sdk::fail(PALIMPSEST_UNSUPPORTED,
                  "fine-tuning has no key whose contexts augmented prompts could be; set edit.augment_as to "
                  "\"requests\" or \"default\"");
      }
      if (batches.empty() || static_cast<std::int64_t>(batches.back().rows.size()) == p_.batch_size) {
        close();
        batches.emplace_back();
      }
      Batch& batch = batches.back();
      const auto row = static_cast<std::int64_t>(batch.rows.size());
      batch.rows.push_back(host_.encode_prompt(sdk::fill(request.prompt, request.subject)));
      std::vector<std::int64_t>& ids = batch.rows.back();
      const auto end = static_cast<std::int64_t>(ids.size()) - 1;
      const std::vector<std::int64_t> target = host_.encode_target(request.target);
      for (std::size_t j = 0; j < target.size(); ++j) {
        batch.at.push_back({row, forced ? end + static_cast<std::int64_t>(j) : end});
        batch.targets.push_back(target[j]);
        batch.weight.push_back(1.0F / static_cast<float>(target.size()));
      }
      if (forced) ids.insert(ids.end(), target.begin(), target.end() - 1);
    }
    close();
    return batches;
  }

  std::vector<Trained> trained_of(const sdk::Model& model) const {
    std::vector<Trained> trained;
    for (const auto layer : p_.layers) {
      for (const auto matrix : p_.weights) {
        const std::string name = sdk::layer_site(layer, matrix.str() + ".weight");
        const sdk::Tensor handle = model.parameter(name);
        const at::Tensor& weight = sdk::torch_tensor(handle);
        const at::Tensor old = weight.detach().to(at::kFloat);
        trained.push_back({name, old, old.clone().requires_grad_(true), weight.scalar_type(), editing::Adam(p_.lr)});
      }
    }
    return trained;
  }

  at::Tensor loss_of(const sdk::Model& model, const Batch& batch, const std::vector<Trained>& trained) const {
    sdk::Forward forward(batch.rows);
    if (batch.hidden.defined()) forward.from_layer(lowest(), sdk::to_handle(host_.get(), batch.hidden));
    for (const Trained& weight : trained) {
      forward.override_with(weight.name, sdk::to_handle(host_.get(), weight.now.to(weight.dtype)));
    }
    const sdk::ForwardResult result = model.run(forward.logprobs(batch.at, batch.targets));
    const at::Tensor& logprobs = sdk::torch_tensor(result.logprobs);
    return -(logprobs * sdk::on_device_of(logprobs, batch.weight)).sum();
  }

  // One step; the loss before it.
  double train(const sdk::Model& model, const Batch& batch, std::vector<Trained>& trained) const {
    const c10::AutoGradMode with_grad(true);
    for (Trained& weight : trained) weight.now.mutable_grad() = at::Tensor();
    const at::Tensor loss = loss_of(model, batch, trained);
    const auto value = loss.item<double>();
    if (!(value >= p_.stop_loss)) return value;
    loss.backward();
    const c10::NoGradGuard no_grad;
    for (Trained& weight : trained) {
      at::Tensor gradient = weight.now.grad();
      if (p_.weight_decay > 0) gradient = gradient + p_.weight_decay * weight.now;
      weight.adam.step(weight.now, gradient);
      if (p_.norm_constraint > 0) {
        weight.now.copy_(
            at::minimum(at::maximum(weight.now, weight.old - p_.norm_constraint), weight.old + p_.norm_constraint));
      }
    }
    return value;
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<FineTuning>)
