// Accuracy on multiple-choice questions by the log-likelihood of the choices: general ability (HellaSwag, PIQA), which
// neither edits nor the task are about. One row a set of questions and measuring point.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/likelihood.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/reading.hpp"
#include "questions.hpp"

namespace palimpsest::multiple_choice {
namespace {

// What the answers to one set add up to.
struct Answers {
  std::int64_t questions = 0, correct = 0, correct_normalised = 0;
  double margin = 0;
};

class MultipleChoice : public sdk::Metric {
 public:
  struct Parameters {
    sdk::Path file;
    std::int64_t questions = 100;
    sdk::Text when = "ends";

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("file", &Parameters::file,
                "Questions, .jsonl or .csv, one choice a row with the columns set, question, context, choice, correct.")
              .required(),
          field("questions", &Parameters::questions,
                "Questions of each set that are asked at most, in the file's order.")
              .unit("question")
              .at_least(1),
          field("when", &Parameters::when, sdk::kWhenDoc).choices(sdk::kWhenChoices));
    }
  };
  static constexpr sdk::Info kInfo{"multiple_choice", "1.1.0",
                                   "Log-likelihood accuracy on multiple-choice questions, raw and length-normalised."};

  MultipleChoice(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  std::uint32_t when() const override { return sdk::when_of(p_.when); }

  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::plain_column("set", PALIMPSEST_TEXT, "", "The set of questions that the row is about."),
        sdk::mean_column("choice_accuracy", "1",
                         "Share of the questions whose correct choice has the greatest log p(choice | context), summed "
                         "over its tokens. In a summary: the mean over sets."),
        sdk::mean_column("choice_accuracy_normalised", "1",
                         "As choice_accuracy, with log p(choice | context) divided by the number of characters of the "
                         "choice."),
        sdk::mean_column("choice_margin", "nat",
                         "Mean over questions of log p(correct choice | context) - log p(best wrong choice | "
                         "context)."),
        sdk::plain_column("chance", PALIMPSEST_FLOAT64, "1",
                          "The choice_accuracy of guessing: mean over questions of 1 / its number of choices."),
        sdk::plain_column("questions", PALIMPSEST_INT64, "question", "Questions of the set that were asked."),
    };
    return kColumns;
  }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    const auto questions = read();
    std::vector<sdk::Continuations> asked;
    for (const Question& question : questions) {
      sdk::Continuations& made = asked.emplace_back();
      made.context = host_.encode_prompt(question.context);
      for (const auto& choice : question.choices) made.choices.push_back(host_.encode_target(choice));
    }
    const auto likelihoods = sdk::continuation_likelihoods(host_, request.model, asked);
    std::map<std::string, Answers> sets;
    std::map<std::string, double> chances;
    for (std::size_t q = 0; q < questions.size(); ++q) {
      const Question& question = questions[q];
      add(question, likelihoods[q], sets[question.set]);
      chances[question.set] += 1 / static_cast<double>(question.choices.size());
    }
    for (const auto& [set, answers] : sets) {
      const auto n = static_cast<double>(answers.questions);
      rows.row(-1, {set, static_cast<double>(answers.correct) / n, static_cast<double>(answers.correct_normalised) / n,
                    answers.margin / n, chances[set] / n, answers.questions});
    }
  }

 private:
  std::vector<Question> read() const {
    const sdk::Dataset data =
        host_.open_dataset(p_.file, {"set", "question", "context", "choice", "correct"}, 0, /*filter=*/false);
    std::vector<Row> rows;
    for (std::int64_t i = 0; i < data.count(PALIMPSEST_TRAIN); ++i) {
      const auto text = [&](std::size_t column) { return data.text(PALIMPSEST_TRAIN, i, column); };
      rows.push_back({text(0), text(1), text(2), text(3), text(4)});
    }
    try {
      return gather(rows, p_.questions);
    } catch (const sdk::Error& error) {
      sdk::fail(error.status(), p_.file.str(), ": ", error.what());
    }
  }

  static void add(const Question& question, const std::vector<sdk::Likelihood>& choices, Answers& to) {
    std::vector<double> raw, normalised;
    for (std::size_t c = 0; c < choices.size(); ++c) {
      raw.push_back(choices[c].logp);
      normalised.push_back(choices[c].logp / length_of(question.choices[c]));
    }
    ++to.questions;
    to.correct += best(raw) == question.correct ? 1 : 0;
    to.correct_normalised += best(normalised) == question.correct ? 1 : 0;
    const double own = raw[question.correct];
    raw.erase(raw.begin() + static_cast<std::ptrdiff_t>(question.correct));
    to.margin += own - raw[best(raw)];
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::multiple_choice

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::multiple_choice::MultipleChoice>)
