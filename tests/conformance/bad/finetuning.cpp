// Tasks and freeze policies that load and are well described, and each break one promise of the contract.
#include <span>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

constexpr palimpsest_column kNumber[] = {
    sdk::plain_column("number", PALIMPSEST_FLOAT64, "1", "A number that means nothing.")};

class FreezesAll : public sdk::FreezePolicy {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"freezes_all", "1.0.0", "Leaves nothing to fine-tune."};
  FreezesAll(sdk::Host, const Parameters&) {}
  void decide(const palimpsest_model_info&, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView>, const sdk::Freezing& freezing) override {
    for (std::size_t i = 0; i < parameters.size(); ++i) freezing.freeze(i);
  }
};

class SilentlyNothing : public sdk::FreezePolicy {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"silently_nothing", "1.0.0",
                                   "Freezes what was edited, and says nothing if that is none."};
  SilentlyNothing(sdk::Host, const Parameters&) {}
  void decide(const palimpsest_model_info&, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView> updates, const sdk::Freezing& freezing) override {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      for (const auto& update : updates) {
        if (update.parameter == parameters[i].name) freezing.freeze(i);
      }
    }
  }
};

class FreezesAndProjects : public sdk::FreezePolicy {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"freezes_and_projects", "1.0.0", "Projects the changes of what may not change."};
  FreezesAndProjects(sdk::Host host, const Parameters&) : host_(host) {}
  void decide(const palimpsest_model_info&, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView>, const sdk::Freezing& freezing) override {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].name != sdk::mlp_down_parameter(1)) continue;
      std::vector<double> basis(static_cast<std::size_t>(parameters[i].rows), 0.0);
      basis.front() = 1;
      freezing.freeze(i);
      freezing.project(i, PALIMPSEST_SIDE_OUT, sdk::Tensor::from_numbers(host_.get(), basis, {parameters[i].rows, 1}));
    }
  }

 private:
  sdk::Host host_;
};

class IdsOutside : public sdk::FineTuneTask {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"ids_outside", "1.0.0", "Gives token ids that no model has."};
  IdsOutside(sdk::Host, const Parameters&) {}
  void prepare(sdk::Model) override {}
  palimpsest_batching batching() const override { return PALIMPSEST_BATCHING_PAD; }
  std::int64_t count(palimpsest_split) override { return 1; }
  sdk::Example example(palimpsest_split, std::int64_t) override { return {{1 << 30}, {-100}}; }
  std::span<const palimpsest_column> score_columns() const override { return kNumber; }
  void score(sdk::Model, const sdk::Rows& rows) override { rows.row(-1, {0.0}); }
};

class EmptySplit : public IdsOutside {
 public:
  static constexpr sdk::Info kInfo{"empty_split", "1.0.0", "Has nothing to validate on, and says so to nobody."};
  using IdsOutside::IdsOutside;
  std::int64_t count(palimpsest_split split) override { return split == PALIMPSEST_TRAIN ? 1 : 0; }
  sdk::Example example(palimpsest_split split, std::int64_t index) override {
    if (index >= count(split)) sdk::fail(PALIMPSEST_OUT_OF_RANGE, "there is no example ", index);
    return {{1}, {1}};
  }
};

class ScoresFacts : public IdsOutside {
 public:
  static constexpr sdk::Info kInfo{"scores_facts", "1.0.0", "Declares the efficacy of edits in a score about no fact."};
  using IdsOutside::IdsOutside;
  std::span<const palimpsest_column> score_columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column("number", "1", "A number that means nothing.", PALIMPSEST_GATE_EFFICACY)};
    return kColumns;
  }
};

class LossWithoutGraph : public IdsOutside, public sdk::OwnLoss {
 public:
  static constexpr sdk::Info kInfo{"loss_without_graph", "1.0.0", "Computes its loss from numbers of its own."};
  LossWithoutGraph(sdk::Host host, const Parameters& parameters) : IdsOutside(host, parameters), host_(host) {}
  sdk::Example example(palimpsest_split, std::int64_t) override { return {{1}, {1}}; }
  void prepare_loss(sdk::Model) override {}
  sdk::Tensor loss(sdk::Model, palimpsest_split, std::span<const std::int64_t>) override {
    return sdk::Tensor::from_numbers(host_.get(), std::vector<double>{0.5}, {});
  }

 private:
  sdk::Host host_;
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<FreezesAll>, &palimpsest::sdk::kDescriptor<SilentlyNothing>,
                   &palimpsest::sdk::kDescriptor<FreezesAndProjects>, &palimpsest::sdk::kDescriptor<IdsOutside>,
                   &palimpsest::sdk::kDescriptor<EmptySplit>, &palimpsest::sdk::kDescriptor<ScoresFacts>,
                   &palimpsest::sdk::kDescriptor<LossWithoutGraph>)
