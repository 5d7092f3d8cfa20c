// Editors that load and are well described, and each break one promise of the contract.
#include <span>
#include <string_view>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

// Adds `value` to every number of layer 1's down-projection.
void edit_layer_one(const sdk::Host& host, const sdk::Model& model, const sdk::Updates& updates, double value) {
  const auto shape = model.parameter(sdk::mlp_down_parameter(1)).shape();
  const std::vector<double> delta(static_cast<std::size_t>(shape[0] * shape[1]), value);
  updates.dense(sdk::mlp_down_parameter(1), sdk::Tensor::from_numbers(host.get(), delta, shape));
}

class UndeclaredLayer : public sdk::Editor {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"undeclared_layer", "1.0.0", "Edits another layer than it said it would."};
  UndeclaredLayer(sdk::Host host, const Parameters&) : host_(host) {}
  sdk::Needs needs(const palimpsest_model_info&) override {
    sdk::Needs needs;
    needs.edits_layers = {0};
    return needs;
  }
  void apply(sdk::Model model, std::span<const sdk::EditRequest>, const sdk::Updates& updates) override {
    edit_layer_one(host_, model, updates, 0);
  }

 private:
  sdk::Host host_;
};

class UndeclaredMoment : public sdk::Editor {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"undeclared_moment", "1.0.0", "Reads a second moment that it did not ask for."};
  UndeclaredMoment(sdk::Host host, const Parameters&) : host_(host) {}
  sdk::Needs needs(const palimpsest_model_info&) override {
    sdk::Needs needs;
    needs.second_moments = {0};
    needs.edits_layers = {1};
    return needs;
  }
  void apply(sdk::Model model, std::span<const sdk::EditRequest>, const sdk::Updates& updates) override {
    host_.second_moment_matrix(1);
    edit_layer_one(host_, model, updates, 1e-3);
  }

 private:
  sdk::Host host_;
};

// An editor of layer 1 with a state of its own: a number of floats that its update is made of.
template <typename P>
class Stateful : public sdk::Editor {
 public:
  using Parameters = sdk::NoParameters;
  Stateful(sdk::Host host, const Parameters&) : host_(host) {}
  sdk::Needs needs(const palimpsest_model_info&) override {
    sdk::Needs needs;
    needs.edits_layers = {1};
    return needs;
  }
  void emit(const sdk::Model& model, const sdk::Updates& updates, double value) const {
    edit_layer_one(host_, model, updates, value);
  }

  using Kind = P;
  static constexpr const char* kName = PALIMPSEST_KIND_EDITOR;
  template <typename Q>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_editor_state_v1 kState = {
        [](void* instance) { return sdk::detail::as<P>(instance).on_reset(); },
        [](void* instance, const palimpsest_state_sink* sink) { return sdk::detail::as<P>(instance).on_save(sink); },
        [](void* instance, const palimpsest_text*, const palimpsest_tensor* values, size_t count) {
          return sdk::detail::as<P>(instance).on_load(values, count);
        }};
    if (std::string_view(id) == PALIMPSEST_EDITOR_STATE_1) return &kState;
    return sdk::Editor::interface_of<Q>(id);
  }

 protected:
  sdk::Host host_;
};

// One whose state is a number, kept as it should be; what a promise-breaker does otherwise it says itself.
template <typename P>
class Remembering : public Stateful<P> {
 public:
  using Stateful<P>::Stateful;
  palimpsest_status on_reset() {
    number_ = 0;
    return PALIMPSEST_OK;
  }
  palimpsest_status on_save(const palimpsest_state_sink* sink) {
    const sdk::Tensor number = sdk::Tensor::from_numbers(this->host_.get(), std::vector<double>{number_}, {1});
    return sink->tensor(sink->context, sdk::text("number"), number.get());
  }
  palimpsest_status on_load(const palimpsest_tensor* values, std::size_t count) {
    if (count == 1) number_ = sdk::Tensor::retain(this->host_.get(), values[0]).numbers().front();
    return PALIMPSEST_OK;
  }

 protected:
  double number_ = 0;
};

// Its state goes with it, but a reset does not forget it.
class FirstCome : public Remembering<FirstCome> {
 public:
  static constexpr sdk::Info kInfo{"first_come", "1.0.0", "Prefers the first fact that it ever saw."};
  using Remembering::Remembering;
  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override {
    const auto subject = static_cast<double>(requests.front().subject.size());
    if (number_ == 0) number_ = subject;
    emit(model, updates, number_ == subject ? 0.25 : 0.125);
  }
  palimpsest_status on_reset() { return PALIMPSEST_OK; }
};

// A reset forgets its state, and so does saving it.
class LosesState : public Remembering<LosesState> {
 public:
  static constexpr sdk::Info kInfo{"loses_state", "1.0.0", "Has a state and saves nothing of it."};
  using Remembering::Remembering;
  void apply(sdk::Model model, std::span<const sdk::EditRequest>, const sdk::Updates& updates) override {
    emit(model, updates, 0.25 / (1 + number_));
    ++number_;
  }
  palimpsest_status on_save(const palimpsest_state_sink*) { return PALIMPSEST_OK; }
  palimpsest_status on_load(const palimpsest_tensor*, std::size_t) { return PALIMPSEST_OK; }
};

// Its state goes with it and a reset forgets it; but what an edit changed in it stays when the edit is refused.
class CountsTooEarly : public Remembering<CountsTooEarly> {
 public:
  static constexpr sdk::Info kInfo{"counts_too_early", "1.0.0", "Changes its state before it emits its update."};
  using Remembering::Remembering;
  void apply(sdk::Model model, std::span<const sdk::EditRequest>, const sdk::Updates& updates) override {
    ++number_;
    emit(model, updates, 0.25 / number_);
  }
};

// Its state is what it was when an edit was refused; but it holds the refusal against the next edit, out of sight.
class RemembersRefusals : public Remembering<RemembersRefusals> {
 public:
  static constexpr sdk::Info kInfo{"remembers_refusals", "1.0.0", "Edits less after an edit that was refused."};
  using Remembering::Remembering;
  void apply(sdk::Model model, std::span<const sdk::EditRequest>, const sdk::Updates& updates) override {
    const double kept = refusals_++;
    emit(model, updates, 0.25 / refusals_);
    refusals_ = kept;
  }
  palimpsest_status on_reset() {
    refusals_ = 0;
    return Remembering::on_reset();
  }

 private:
  double refusals_ = 0;
};

// Fails after two updates that could be: by a sentence, or past the SDK by an int.
class FailsMidway : public Stateful<FailsMidway> {
 public:
  static constexpr sdk::Info kInfo{"fails_midway", "1.0.0", "Changes a layer twice and then gives up."};
  using Stateful::Stateful;
  void apply(sdk::Model model, std::span<const sdk::EditRequest>, const sdk::Updates& updates) override {
    emit(model, updates, 0.25);
    emit(model, updates, 0.1);
    sdk::fail(PALIMPSEST_NUMERIC, "it gives up");
  }
  palimpsest_status on_reset() { return PALIMPSEST_OK; }
  palimpsest_status on_save(const palimpsest_state_sink*) { return PALIMPSEST_OK; }
  palimpsest_status on_load(const palimpsest_tensor*, std::size_t) { return PALIMPSEST_OK; }
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<UndeclaredLayer>, &palimpsest::sdk::kDescriptor<UndeclaredMoment>,
                   &palimpsest::sdk::kDescriptor<FirstCome>, &palimpsest::sdk::kDescriptor<LosesState>,
                   &palimpsest::sdk::kDescriptor<CountsTooEarly>, &palimpsest::sdk::kDescriptor<FailsMidway>,
                   &palimpsest::sdk::kDescriptor<RemembersRefusals>)
