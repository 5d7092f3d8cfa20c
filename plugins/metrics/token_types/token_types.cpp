// What kind of word the model answers a fact's prompt with, for edited and intrinsic facts at every measuring point:
// the data of figure 3.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"
#include "types.hpp"

namespace palimpsest::token_types {
namespace {

constexpr palimpsest_column rate(const char* name, const char* doc) {
  return sdk::rate_column(name, doc, PALIMPSEST_BASELINE_NONE);
}
constexpr palimpsest_column text(const char* name, const char* doc) {
  return sdk::plain_column(name, PALIMPSEST_TEXT, "", doc);
}

constexpr std::array<palimpsest_column, 8> kColumns = {
    rate("type_target_new", "The greedy answer begins with target_new, as whole words."),
    rate("type_target_true", "It begins with target_true, and not with target_new."),
    rate("type_other_target",
         "It begins with another target of the relation, target_new or target_true of any of its facts, and with "
         "neither of the fact's own."),
    rate("type_capitalised", "It begins with a capitalised word that is none of these."),
    rate("type_function_word", "It begins with a word of the committed list of function words, in lower case."),
    rate("type_other", "It begins with anything else: another word, a number, a sign, or nothing."),
    text("token_type",
         "Which of the six it is: target_new, target_true, other_target, capitalised, function_word, other."),
    text("greedy_answer", "The greedy answer that the type was read from."),
};

class TokenTypes : public sdk::Metric {
 public:
  struct Parameters {
    std::int64_t answer_tokens = 8;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("answer_tokens", &Parameters::answer_tokens,
                "Tokens of the greedy answer: enough for the longest target, which must stand whole in it.")
              .unit("token")
              .at_least(1)
              .at_most(50));
    }
  };
  static constexpr sdk::Info kInfo{"token_types", "1.1.0", "What kind of word the model answers each prompt with."};

  TokenTypes(sdk::Host, const Parameters& parameters) : p_(parameters) {}

  std::span<const palimpsest_column> columns() const override { return kColumns; }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    if (request.facts.empty()) return;
    std::vector<std::string> prompts;
    for (const auto& fact : request.facts) prompts.push_back(sdk::fill(fact.prompt(), fact.subject()));
    sdk::GenerationOptions options;
    options.max_new_tokens = static_cast<std::int32_t>(p_.answer_tokens);
    const auto answers = request.model.generate(prompts, options);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const Type type = type_of(answers[i].text, answers_of(request.facts[i]));
      std::vector<sdk::Value> row;
      for (std::size_t t = 0; t < kNames.size(); ++t) row.emplace_back(t == static_cast<std::size_t>(type));
      row.emplace_back(std::string(kNames[static_cast<std::size_t>(type)]));
      row.emplace_back(answers[i].text);
      rows.row(static_cast<std::int64_t>(i), row);
    }
  }

 private:
  // A fact's aliases are other names of its subject, so none of them is an answer.
  static Answers answers_of(const sdk::Fact& fact) {
    return {fact.target_new(), fact.target_true(), fact.relation_targets()};
  }

  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::token_types

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::token_types::TokenTypes>)
