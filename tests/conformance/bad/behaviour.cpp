// Metrics and augmenters that load and are well described, and each break one promise of the contract.
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/services/autograd.h"

namespace {

using namespace palimpsest;

constexpr palimpsest_column kNumber[] = {
    sdk::plain_column("number", PALIMPSEST_FLOAT64, "1", "A number that means nothing.")};

// A metric of one number a fact.
class OneNumber : public sdk::Metric {
 public:
  using Parameters = sdk::NoParameters;
  std::span<const palimpsest_column> columns() const override { return kNumber; }
  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    const double value = number(request);
    for (std::size_t i = 0; i < request.facts.size(); ++i) rows.row(static_cast<std::int64_t>(i), {value});
  }

 private:
  virtual double number(const sdk::MeasureRequest&) { return 0; }
};

class CountsCalls : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"counts_calls", "1.0.0", "Gives another number after every call."};
  CountsCalls(sdk::Host, const Parameters&) {}
  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    OneNumber::measure(request, rows);
    ++calls_;
  }

 private:
  double number(const sdk::MeasureRequest&) override { return calls_; }
  double calls_ = 0;
};

class HoldsAGrudge : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"holds_a_grudge", "1.0.0", "Gives another number after a call that failed."};
  HoldsAGrudge(sdk::Host, const Parameters&) {}
  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    const double kept = number_++;
    OneNumber::measure(request, rows);
    number_ = kept;
  }

 private:
  double number(const sdk::MeasureRequest&) override { return number_; }
  double number_ = 0;
};

class NotATruth : public sdk::Metric {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"not_a_truth", "1.0.0", "Declares a truth and gives two."};
  NotATruth(sdk::Host, const Parameters&) {}
  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {{"truth", PALIMPSEST_BOOL, "1", "Neither true nor false.",
                                                      PALIMPSEST_AGGREGATE_NONE, PALIMPSEST_BASELINE_NONE,
                                                      PALIMPSEST_GATE_NONE}};
    return kColumns;
  }
  void measure(const sdk::MeasureRequest&, const sdk::Rows& rows) override { rows.row(0, {std::int64_t{2}}); }
};

class NoRows : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"no_rows", "1.0.0", "Measures, and tells nobody what."};
  NoRows(sdk::Host, const Parameters&) {}
  void measure(const sdk::MeasureRequest&, const sdk::Rows&) override {}
};

class NeverRuns : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"never_runs", "1.0.0", "Says that it runs at no measuring point."};
  NeverRuns(sdk::Host, const Parameters&) {}
  std::uint32_t when() const override { return 0; }
};

class RunsSometime : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"runs_sometime", "1.0.0", "Runs at points that the contract does not have."};
  RunsSometime(sdk::Host, const Parameters&) {}
  std::uint32_t when() const override { return PALIMPSEST_WHEN_ALWAYS + 1; }
};

class RefusesASecond : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"refuses_a_second", "1.0.0", "Refuses, once, to be made beside another instance."};
  RefusesASecond(sdk::Host, const Parameters&) {
    if (alive_ > 0 && !refused_) {
      refused_ = true;
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "there is one already");
    }
    ++alive_;
  }
  ~RefusesASecond() override { --alive_; }

 private:
  static inline int alive_ = 0;
  static inline bool refused_ = false;
};

class CountsInstances : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"counts_instances", "1.0.0", "Shares a counter between its instances."};
  CountsInstances(sdk::Host, const Parameters&) : number_(++instances_) {}

 private:
  double number(const sdk::MeasureRequest&) override { return number_; }
  static inline double instances_ = 0;
  double number_;
};

void write_into(const sdk::Model& model) {
  const sdk::Tensor weight = model.parameter("final_norm.weight");
  const_cast<float&>(weight.floats()[0]) += 1;
}

class WritesWeights : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"writes_weights", "1.0.0", "Writes into the weights that it may only read."};
  WritesWeights(sdk::Host, const Parameters&) {}
  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    OneNumber::measure(request, rows);
    write_into(request.model);
  }
};

class WritesWhenRefused : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"writes_when_refused", "1.0.0", "Writes into the weights when its row is refused."};
  WritesWhenRefused(sdk::Host, const Parameters&) {}
  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    try {
      OneNumber::measure(request, rows);
    } catch (const sdk::Error&) {
      write_into(request.model);
      throw;
    }
  }
};

class LeavesGradMode : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"leaves_grad_mode", "1.0.0", "Switches the grad mode and leaves it so."};
  LeavesGradMode(sdk::Host host, const Parameters&) : host_(host) {}

 private:
  double number(const sdk::MeasureRequest&) override {
    const auto& autograd = sdk::service<palimpsest_autograd_v1>(host_.get(), PALIMPSEST_AUTOGRAD_1);
    std::int32_t former = 0, ignored = 0;
    sdk::check(host_.get(), autograd.set_grad_enabled(host_.get(), 1, &former));
    sdk::check(host_.get(), autograd.set_grad_enabled(host_.get(), former == 0 ? 1 : 0, &ignored));
    return 0;
  }
  sdk::Host host_;
};

class IgnoresSink : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"ignores_sink", "1.0.0", "Goes on when the sink of its rows has failed."};
  IgnoresSink(sdk::Host, const Parameters&) {}
  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    try {
      OneNumber::measure(request, rows);
    } catch (const sdk::Error&) {
      return;
    }
  }
};

class CallsOn : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"calls_on", "1.0.0", "Emits its other rows before it says that one was refused."};
  CallsOn(sdk::Host, const Parameters&) {}
  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    std::exception_ptr refused;
    for (std::size_t i = 0; i < request.facts.size(); ++i) {
      try {
        rows.row(static_cast<std::int64_t>(i), {0.0});
      } catch (const sdk::Error&) {
        refused = std::current_exception();
      }
    }
    if (refused) std::rethrow_exception(refused);
  }
};

class BadColumns : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"bad_columns", "1.0.0", "Declares columns that each lack something else."};
  BadColumns(sdk::Host, const Parameters&) {}
  std::span<const palimpsest_column> columns() const override {
    constexpr const char* kDoc = "A number that means nothing.";
    static constexpr palimpsest_column kColumns[] = {
        {"number", PALIMPSEST_FLOAT64, "1", "x", PALIMPSEST_AGGREGATE_RATE, PALIMPSEST_BASELINE_EDITED,
         PALIMPSEST_GATE_NONE},
        sdk::plain_column("Loud", PALIMPSEST_FLOAT64, "1", kDoc),
        sdk::plain_column("bare", PALIMPSEST_FLOAT64, "", kDoc),
        {"word", PALIMPSEST_TEXT, "", kDoc, PALIMPSEST_AGGREGATE_MEAN, PALIMPSEST_BASELINE_NONE, PALIMPSEST_GATE_NONE},
        {"compared", PALIMPSEST_FLOAT64, "1", kDoc, PALIMPSEST_AGGREGATE_MEAN, PALIMPSEST_BASELINE_BASE,
         PALIMPSEST_GATE_NONE}};
    return kColumns;
  }
  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    for (std::size_t i = 0; i < request.facts.size(); ++i) {
      rows.row(static_cast<std::int64_t>(i), {0.0, 0.0, 0.0, std::string("word"), 0.0});
    }
  }
};

class GateOfNats : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"gate_of_nats", "1.0.0", "Offers the quality gate an efficacy in nat."};
  GateOfNats(sdk::Host, const Parameters&) {}
  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column("number", "nat", "A number that means nothing.", PALIMPSEST_GATE_EFFICACY)};
    return kColumns;
  }
};

class UnknownGate : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"unknown_gate", "1.0.0", "Declares a role that the quality gate does not have."};
  UnknownGate(sdk::Host, const Parameters&) {}
  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column("number", "1", "A number that means nothing.", palimpsest_gate{4})};
    return kColumns;
  }
};

class CannotBeMade : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"cannot_be_made", "1.0.0", "Refuses its own defaults."};
  CannotBeMade(sdk::Host, const Parameters&) { sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "no such luck"); }
};

class NoTemplate : public sdk::Augmenter {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"no_template", "1.0.0", "Emits a prompt without a place for the subject."};
  NoTemplate(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts& prompts) override { prompts.add("Somebody lives in"); }
};

class Throws : public sdk::Augmenter {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"throws", "1.0.0", "Lets an exception through the boundary of the contract."};
  Throws(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts&) override {}

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_augmenter_v1 kTable = {
        [](void*, palimpsest_model*, const palimpsest_fact*, const palimpsest_prompt_sink*) -> palimpsest_status {
          throw std::runtime_error("thrown on purpose");
        }};
    return std::string_view(id) == PALIMPSEST_AUGMENTER_1 ? &kTable : nullptr;
  }
  using Kind = Throws;
  static constexpr const char* kName = PALIMPSEST_KIND_AUGMENTER;
};

class Undescribed : public sdk::Augmenter {
 public:
  struct Parameters {
    std::int64_t size = 1, depth = 1;
    static constexpr auto fields() {
      return std::tuple(sdk::field("size", &Parameters::size, "size"),
                        sdk::field("its-depth", &Parameters::depth, "How deep it is."));
    }
  };
  static constexpr sdk::Info kInfo{"undescribed", "one", "?"};
  Undescribed(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts&) override {}
};
constexpr palimpsest_descriptor offering_anything() {
  palimpsest_descriptor descriptor = sdk::kDescriptor<Undescribed>;
  descriptor.get_interface = [](const char*) { return Undescribed::interface_of<Undescribed>(PALIMPSEST_AUGMENTER_1); };
  return descriptor;
}
constexpr palimpsest_descriptor kUndescribed = offering_anything();

class MissingInteger : public OneNumber {
 public:
  static constexpr sdk::Info kInfo{"missing_integer", "1.0.0", "Leaves out an integer, for which there is no value."};
  MissingInteger(sdk::Host, const Parameters&) {}
  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::plain_column("number", PALIMPSEST_INT64, "", "A number that means nothing.")};
    return kColumns;
  }
  void measure(const sdk::MeasureRequest&, const sdk::Rows& rows) override { rows.row(0, {sdk::missing}); }
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<CountsCalls>, &palimpsest::sdk::kDescriptor<CountsInstances>,
                   &palimpsest::sdk::kDescriptor<WritesWeights>, &palimpsest::sdk::kDescriptor<LeavesGradMode>,
                   &palimpsest::sdk::kDescriptor<IgnoresSink>, &palimpsest::sdk::kDescriptor<BadColumns>,
                   &palimpsest::sdk::kDescriptor<CannotBeMade>, &palimpsest::sdk::kDescriptor<NoTemplate>,
                   &palimpsest::sdk::kDescriptor<Throws>, &kUndescribed, &palimpsest::sdk::kDescriptor<GateOfNats>,
                   &palimpsest::sdk::kDescriptor<UnknownGate>, &palimpsest::sdk::kDescriptor<MissingInteger>,
                   &palimpsest::sdk::kDescriptor<HoldsAGrudge>, &palimpsest::sdk::kDescriptor<NotATruth>,
                   &palimpsest::sdk::kDescriptor<RefusesASecond>, &palimpsest::sdk::kDescriptor<WritesWhenRefused>,
                   &palimpsest::sdk::kDescriptor<NoRows>, &palimpsest::sdk::kDescriptor<NeverRuns>,
                   &palimpsest::sdk::kDescriptor<RunsSometime>, &palimpsest::sdk::kDescriptor<CallsOn>)
