// The augmenter `my-method`: teaches a fact once more behind each of some openings, "Everyone knows that" + prompt.
#pragma once

#include <string>
#include <tuple>

#include "palimpsest/sdk/plugin.hpp"

namespace my_method {

namespace sdk = palimpsest::sdk;

class MyMethod : public sdk::Augmenter {
 public:
  // What the user may set: the member is the default, the field its name, meaning and limits. The program checks the
  // TOML file and prints help from this alone.
  struct Parameters {
    sdk::List<sdk::Text> openings = {"Everyone knows this.", "It was in the newspaper."};

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(field("openings", &Parameters::openings,
                              "Texts that are put before the fact's prompt, one prompt for each."));
    }
  };
  static constexpr sdk::Info kInfo{"my-method", "0.1.0", "Teaches a fact behind each of some openings."};

  // `host` (tokenizer, random streams, log, progress) outlives the instance.
  MyMethod(sdk::Host, const Parameters& parameters) : p_(parameters) {}

  // Called once a fact, with the unedited model. A prompt is a template with one {} where the subject stands. To fail,
  // throw: sdk::fail(status, parts...) says what was found, what was expected and what to do.
  void augment(sdk::Model, const sdk::Fact& fact, const sdk::Prompts& prompts) override {
    for (const auto given : p_.openings) {
      const std::string opening = given.str();
      if (opening.find("{}") != std::string::npos) {
        sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "openings: \"", opening,
                  "\" holds {}; the subject stands in the fact's own prompt");
      }
      prompts.add(opening + " " + fact.prompt());
    }
  }

 private:
  Parameters p_;
};

}  // namespace my_method
