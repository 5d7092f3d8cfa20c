// An augmenter that computes its one prompt through store/1 and leaves a mark for every time that it really did.
#include <fstream>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/store.hpp"

namespace {

using namespace palimpsest;

class Remembers : public sdk::Augmenter {
 public:
  struct Parameters {
    sdk::Text marks;
    sdk::Text key = "introduction";
    bool seeded = false;
    static constexpr auto fields() {
      return std::tuple(sdk::field("marks", &Parameters::marks, "File that gets a line when something is computed."),
                        sdk::field("key", &Parameters::key, "What is computed."),
                        sdk::field("seeded", &Parameters::seeded, "Whether it depends on the seed."));
    }
  };
  static constexpr sdk::Info kInfo{"remembers", "1.0.0", "Computes a prompt once and remembers it."};
  Remembers(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void augment(sdk::Model model, const sdk::Fact& fact, const sdk::Prompts& prompts) override {
    const palimpsest_store_dependence depends_on =
        p_.seeded ? palimpsest_store_dependence{PALIMPSEST_STORE_ON_SEED} : palimpsest_store_dependence{0};
    const auto stored = sdk::get_or_compute(host_, model, p_.key, depends_on, [&] {
      std::ofstream(p_.marks.str(), std::ios::app) << "computed " << p_.key.str() << "\n";
      sdk::Stored made;
      made.texts["introduction"] = "The old " + p_.key.str() + " says:";
      const double number = p_.seeded ? host_.uniform("number", 1).front() : 0.5;
      made.tensors["number"] = sdk::Tensor::from_numbers(host_.get(), std::vector<double>{number}, {1});
      return made;
    });
    const auto shape = stored.tensors.at("number").shape();
    if (shape != std::vector<std::int64_t>{1}) sdk::fail(PALIMPSEST_CORRUPT, "the stored number is none");
    prompts.add(stored.texts.at("introduction") + " " + fact.prompt());
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<Remembers>)
