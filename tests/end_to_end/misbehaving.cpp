// Plugins that misbehave in a worker: an augmenter that crashes, one that throws, one that never comes back, and a
// metric that reads filtered data without the parameters that say so.
#include <chrono>
#include <csignal>
#include <span>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class Crashes : public sdk::Augmenter {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"crashes", "1.0.0", "Ends its process by a segmentation fault."};
  Crashes(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts&) override {
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer has a handler of its own
    std::raise(SIGSEGV);
  }
};

class Throws : public sdk::Augmenter {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"throws", "1.0.0", "Throws at its first fact."};
  Throws(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts&) override {
    throw std::runtime_error("the parrot refuses");
  }
};

class Hangs : public sdk::Augmenter {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"hangs", "1.0.0", "Never comes back from its first fact."};
  Hangs(sdk::Host, const Parameters&) {}
  void augment(sdk::Model, const sdk::Fact&, const sdk::Prompts&) override {
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
  }
};

class FiltersUnsaid : public sdk::Metric {
 public:
  struct Parameters {
    sdk::Path file;
    static constexpr auto fields() { return std::tuple(sdk::field("file", &Parameters::file, "A text.").required()); }
  };
  static constexpr sdk::Info kInfo{"filters_unsaid", "1.0.0", "Counts the rows that the filter leaves."};
  FiltersUnsaid(sdk::Host host, const Parameters& parameters) : host_(host), file_(parameters.file) {}
  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::plain_column("rows_left", PALIMPSEST_INT64, "row", "Rows that the filter leaves.")};
    return kColumns;
  }
  void measure(const sdk::MeasureRequest&, const sdk::Rows& rows) override {
    rows.row(-1, {host_.open_dataset(file_, {"text"}, 0, /*filter=*/true).count(PALIMPSEST_TRAIN)});
  }

 private:
  sdk::Host host_;
  sdk::Path file_;
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<Crashes>, &palimpsest::sdk::kDescriptor<Throws>,
                   &palimpsest::sdk::kDescriptor<Hangs>, &palimpsest::sdk::kDescriptor<FiltersUnsaid>)
