// Question answering over a given context: trained on the answer's tokens; scored by exact match and F1 of the greedy
// answer as SQuAD defines them, and, for questions whose answer is yes or no, by which of both is the more probable.
#include <algorithm>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/dataset_task.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/probing.hpp"
#include "palimpsest/sdk/responses.hpp"
#include "squad.hpp"

namespace palimpsest::question_answering {
namespace {

struct Row : sdk::PromptedRow {
  std::vector<std::string> answers;  // any of them is right; the first is trained on
};

bool is_yes_or_no(const Row& row) {
  return row.answers.size() == 1 && (row.answers.front() == "yes" || row.answers.front() == "no");
}

class QuestionAnswering : public sdk::RowTask<Row> {
 public:
  struct Parameters {
    sdk::Path file;
    sdk::Text context_column = "context";
    sdk::Text question_column = "question";
    sdk::Text answer_column = "answer";
    sdk::Text answer_separator = "";
    sdk::Text prompt_template = "{context}\n\nQuestion: {question}\nAnswer:";
    double validation_share = 0.1;
    bool filter = true;
    std::int64_t example_tokens = 320;
    std::int64_t score_examples = 100;
    std::int64_t max_new_tokens = 16;

    static constexpr auto fields() {
      using sdk::field;
      const auto own = std::tuple(
          field("file", &Parameters::file, "Questions to train on, .jsonl or .csv.").required(),
          field("context_column", &Parameters::context_column, "Column that holds the text to answer from."),
          field("question_column", &Parameters::question_column, "Column that holds the question."),
          field("answer_column", &Parameters::answer_column, "Column that holds the answer."),
          field(
              "answer_separator", &Parameters::answer_separator,
              "What stands between several right answers in that column; \"\": there is one. The first is trained on."),
          field("template", &Parameters::prompt_template,
                "Prompt that the answer follows, after a space: {context} and {question} are replaced."),
          field("max_new_tokens", &Parameters::max_new_tokens, "Tokens that the score lets the model answer with.")
              .unit("token")
              .at_least(1));
      return std::tuple_cat(own, sdk::row_fields<Parameters>());
    }
  };
  static constexpr sdk::Info kInfo{
      "question_answering", "1.0.0",
      "Question answering from a context; scored by exact match and F1 as SQuAD, and yes or no."};

  QuestionAnswering(sdk::Host host, const Parameters& parameters)
      : RowTask(host), p_(parameters), prompt_("template", p_.prompt_template, {"context", "question"}) {
    prompt_.refuse_space_at_end();
  }

  void prepare(sdk::Model model) override {
    const sdk::Dataset data =
        host_.open_dataset(p_.file, {p_.context_column.str(), p_.question_column.str(), p_.answer_column.str()},
                           p_.validation_share, p_.filter);
    const std::int64_t longest = std::min(p_.example_tokens, model.info().max_positions - p_.max_new_tokens);
    render_rows(data, p_.file, longest, [&](palimpsest_split split, std::int64_t i) {
      Row row;
      row.prompt = prompt_.fill({data.text(split, i, 0), data.text(split, i, 1)});
      row.answers = answers_of(data.text(split, i, 2));
      row.ids = sdk::prompted(host_, row.prompt, row.answers.front());
      return row;
    });
  }

  std::span<const palimpsest_column> score_columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column(
            "exact_match", "1",
            "Share of the held-out questions whose greedy answer, up to the end of its first line, has the words of a "
            "right answer after SQuAD's normalisation (lower case, no punctuation, no articles)."),
        sdk::mean_column(
            "f1", "1",
            "Mean over the questions of the F1 of the greedy answer's words against those of the best right answer, "
            "normalised in the same way."),
        sdk::mean_column(
            "yes_no_accuracy", "1",
            "Share of the questions answered by yes or no whose answer is the more probable of both after the prompt; "
            "missing where there are none."),
        sdk::plain_column("yes_no_examples", PALIMPSEST_INT64, "example",
                          "Questions answered by yes or no among those scored."),
        sdk::plain_column("examples", PALIMPSEST_INT64, "example", "Held-out examples that the score was taken over."),
    };
    return kColumns;
  }

  void score(sdk::Model model, const sdk::Rows& out) override {
    const std::span<const Row> scored = scored_rows(p_.score_examples);
    std::vector<std::string> prompts;
    std::vector<sdk::TargetQuery> yes_no;
    std::vector<bool> wants_yes;
    for (const Row& row : scored) {
      prompts.push_back(row.prompt);
      if (!is_yes_or_no(row)) continue;
      for (const char* answer : {"yes", "no"}) yes_no.push_back({row.prompt, answer});
      wants_yes.push_back(row.answers.front() == "yes");
    }
    const std::vector<std::string> answers = sdk::continuations(host_, model, prompts, p_.max_new_tokens, {"\n"});
    double matched = 0, sum_f1 = 0;
    for (std::size_t i = 0; i < scored.size(); ++i) {
      bool match = false;
      double best = 0;
      for (const auto& right : scored[i].answers) {
        match = match || exact_match(answers[i], right);
        best = std::max(best, f1(answers[i], right));
      }
      matched += match ? 1 : 0;
      sum_f1 += best;
    }
    sdk::Value yes_no_accuracy = sdk::missing;
    if (!wants_yes.empty()) {
      const auto scores = sdk::score_targets(host_, model, yes_no);
      double right = 0;
      for (std::size_t i = 0; i < wants_yes.size(); ++i) {
        right += (scores[2 * i].logp() > scores[2 * i + 1].logp()) == wants_yes[i] ? 1 : 0;
      }
      yes_no_accuracy = right / static_cast<double>(wants_yes.size());
    }
    const auto examples = static_cast<double>(scored.size());
    out.row(-1, {matched / examples, sum_f1 / examples, yes_no_accuracy, static_cast<std::int64_t>(wants_yes.size()),
                 static_cast<std::int64_t>(scored.size())});
  }

 private:
  // The right answers of a cell, in its order.
  std::vector<std::string> answers_of(std::string_view cell) const {
    const std::string_view separator = p_.answer_separator;
    std::vector<std::string> answers;
    for (std::size_t at = 0; at <= cell.size();) {
      const std::size_t end = separator.empty() ? cell.size() : std::min(cell.find(separator, at), cell.size());
      if (end > at) answers.emplace_back(cell.substr(at, end - at));
      at = end + std::max<std::size_t>(separator.size(), 1);
    }
    if (answers.empty()) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, p_.file.str(), ": found a row whose column \"", p_.answer_column.str(),
                "\" is empty; expected an answer");
    }
    return answers;
  }

  Parameters p_;
  sdk::Template prompt_;
};

}  // namespace
}  // namespace palimpsest::question_answering

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::question_answering::QuestionAnswering>)
