// Metrics that leave something of libtorch's own changed.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class OneNumber : public sdk::Metric {
 public:
  using Parameters = sdk::NoParameters;
  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {{"number", PALIMPSEST_FLOAT64, "1", "A number that means nothing.",
                                                      PALIMPSEST_AGGREGATE_NONE, PALIMPSEST_BASELINE_NONE,
                                                      PALIMPSEST_GATE_NONE}};
    return kColumns;
  }
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

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<DrawsFromTorch>, &palimpsest::sdk::kDescriptor<SetsThreads>)
