// What breaks a promise by means of libtorch: metrics that leave something of it changed, tasks whose loss is none.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <limits>
#include <span>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace {

using namespace palimpsest;

constexpr palimpsest_column kNumber[] = {
    sdk::plain_column("number", PALIMPSEST_FLOAT64, "1", "A number that means nothing.")};

class OneNumber : public sdk::Metric {
 public:
  using Parameters = sdk::NoParameters;
  std::span<const palimpsest_column> columns() const override { return kNumber; }
  void measure(const sdk::MeasureRequest&, const sdk::Rows& rows) override {
    harm();
    rows.row(0, {0.0});
  }

 private:
  virtual void harm() = 0;
};

class DrawsFromTorch : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"draws_from_torch", "1.0.0", "Draws from libtorch's default generator."};
  DrawsFromTorch(sdk::Host, const Parameters&) {}

 private:
  void harm() override { static_cast<void>(at::rand({3})); }
};

class SetsThreads : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"sets_threads", "1.0.0", "Changes how many threads libtorch uses."};
  SetsThreads(sdk::Host, const Parameters&) {}

 private:
  void harm() override { at::set_num_threads(at::get_num_threads() + 1); }
};

// A task of two examples, a token each that is to predict another. Its loss is what a class below makes of theirs.
class TwoExamples : public sdk::FineTuneTask, public sdk::OwnLoss {
 public:
  using Parameters = sdk::NoParameters;
  TwoExamples(sdk::Host host, const Parameters&) : host_(host) {}
  void prepare(sdk::Model) override {}
  palimpsest_batching batching() const override { return PALIMPSEST_BATCHING_PAD; }
  std::int64_t count(palimpsest_split) override { return 2; }
  sdk::Example example(palimpsest_split split, std::int64_t index) override {
    if (index >= count(split)) sdk::fail(PALIMPSEST_OUT_OF_RANGE, "there is no example ", index);
    return {{index + 1, index + 2}, {-100, index + 2}};
  }
  std::span<const palimpsest_column> score_columns() const override { return kNumber; }
  void score(sdk::Model, const sdk::Rows& rows) override { rows.row(-1, {0.0}); }
  void prepare_loss(sdk::Model) override {}
  sdk::Tensor loss(sdk::Model model, palimpsest_split split, std::span<const std::int64_t> examples) override {
    std::vector<std::vector<std::int64_t>> rows;
    std::vector<sdk::Position> places;
    std::vector<std::int64_t> targets;
    for (const std::int64_t index : examples) {
      if (looks_up()) static_cast<void>(example(split, index));
      places.push_back({static_cast<std::int64_t>(rows.size()), 0});
      rows.push_back({index + 1});
      targets.push_back(index + 2);
    }
    const sdk::ForwardResult result = model.run(sdk::Forward(rows).logprobs(places, targets));
    return sdk::to_handle(host_.get(), of(-sdk::torch_tensor(result.logprobs)));
  }

 private:
  // `losses` [examples] -> a scalar.
  virtual at::Tensor of(const at::Tensor& losses) const { return losses.mean(); }
  // Whether it says that an example is not there.
  virtual bool looks_up() const { return true; }
  sdk::Host host_;
};

class InfiniteLoss : public TwoExamples {
 public:
  static constexpr sdk::Info kInfo{"infinite_loss", "1.0.0", "Has a loss that is no number."};
  using TwoExamples::TwoExamples;

 private:
  at::Tensor of(const at::Tensor& losses) const override {
    return losses.mean() * std::numeric_limits<double>::infinity();
  }
};

class GraphOfItsOwn : public TwoExamples {
 public:
  static constexpr sdk::Info kInfo{"graph_of_its_own", "1.0.0", "Wants gradients where the host wants none."};
  using TwoExamples::TwoExamples;

 private:
  at::Tensor of(const at::Tensor& losses) const override { return losses.mean().requires_grad_(true); }
};

class OtherValidation : public TwoExamples {
 public:
  static constexpr sdk::Info kInfo{"other_validation", "1.0.0", "Validates by another loss than it trains by."};
  using TwoExamples::TwoExamples;

 private:
  at::Tensor of(const at::Tensor& losses) const override {
    return c10::GradMode::is_enabled() ? losses.mean() : losses.mean() + 1;
  }
};

class SumOfLosses : public TwoExamples {
 public:
  static constexpr sdk::Info kInfo{"sum_of_losses", "1.0.0", "Adds the losses of its examples up."};
  using TwoExamples::TwoExamples;

 private:
  at::Tensor of(const at::Tensor& losses) const override { return losses.sum(); }
};

class AnyExample : public TwoExamples {
 public:
  static constexpr sdk::Info kInfo{"any_example", "1.0.0", "Has a loss of examples that are not there."};
  using TwoExamples::TwoExamples;

 private:
  bool looks_up() const override { return false; }
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<DrawsFromTorch>, &palimpsest::sdk::kDescriptor<SetsThreads>,
                   &palimpsest::sdk::kDescriptor<InfiniteLoss>, &palimpsest::sdk::kDescriptor<GraphOfItsOwn>,
                   &palimpsest::sdk::kDescriptor<OtherValidation>, &palimpsest::sdk::kDescriptor<SumOfLosses>,
                   &palimpsest::sdk::kDescriptor<AnyExample>)
