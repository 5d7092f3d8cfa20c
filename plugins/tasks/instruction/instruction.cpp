// Instruction tuning on rows of the Alpaca schema: the prompt is rendered, the loss is taken on the response alone. The
// score asks for the response in two ways: is it what the model writes, and how probable is it.
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "answers.hpp"
#include "palimpsest/sdk/dataset_task.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/responses.hpp"

namespace palimpsest::instruction {
namespace {

// The prompts that Stanford Alpaca was trained with (Taori et al. 2023), as LoRA reproductions of it end them: with a
// line end.
constexpr const char* kWithInput =
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
    "response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n"
    "### Response:\n";
constexpr const char* kWithoutInput =
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n";

struct Row : sdk::PromptedRow {
  std::string response;
};

class Instruction : public sdk::RowTask<Row> {
 public:
  struct Parameters {
    sdk::Path file;
    sdk::Text instruction_column = "instruction";
    sdk::Text input_column = "input";
    sdk::Text output_column = "output";
    sdk::Text template_with_input = kWithInput;
    sdk::Text template_without_input = kWithoutInput;
    double validation_share = 0.1;
    bool filter = true;
    std::int64_t example_tokens = 256;
    std::int64_t score_examples = 100;
    std::int64_t max_new_tokens = 16;

    static constexpr auto fields() {
      using sdk::field;
      const auto own = std::tuple(
          field("file", &Parameters::file, "Instructions to train on, .jsonl or .csv, in the schema of Alpaca.")
              .required(),
          field("instruction_column", &Parameters::instruction_column, "Column that holds the instruction."),
          field("input_column", &Parameters::input_column,
                "Column that holds the instruction's input, which may be empty; \"\": the file has none."),
          field("output_column", &Parameters::output_column, "Column that holds the response."),
          field("template_with_input", &Parameters::template_with_input,
                "Prompt of a row with an input: {instruction} and {input} are replaced."),
          field("template_without_input", &Parameters::template_without_input,
                "Prompt of a row without one: {instruction} is replaced."),
          field("max_new_tokens", &Parameters::max_new_tokens,
                "Tokens that the score lets the model write; a longer response cannot be matched.")
              .unit("token")
              .at_least(1));
      return std::tuple_cat(own, sdk::row_fields<Parameters>());
    }
  };
  static constexpr sdk::Info kInfo{"instruction", "1.1.0",
                                   "Instruction tuning in the Alpaca schema; scored by exact match and likelihood."};

  Instruction(sdk::Host host, const Parameters& parameters)
      : RowTask(host),
        p_(parameters),
        with_input_("template_with_input", p_.template_with_input, {"instruction", "input"}),
        without_input_("template_without_input", p_.template_without_input, {"instruction"}) {}

  void prepare(sdk::Model model) override {
    std::vector<std::string> columns = {p_.instruction_column.str(), p_.output_column.str()};
    const bool has_input = p_.input_column.size > 0;
    if (has_input) columns.push_back(p_.input_column.str());
    const sdk::Dataset data = host_.open_dataset(p_.file, columns, p_.validation_share, p_.filter);
    const std::int64_t longest = std::min(p_.example_tokens, model.info().max_positions - p_.max_new_tokens);
    render_rows(data, p_.file, longest, [&](palimpsest_split split, std::int64_t i) {
      const std::string_view asked = data.text(split, i, 0);
      const std::string_view input = has_input ? data.text(split, i, 2) : std::string_view();
      Row row;
      row.prompt = input.empty() ? without_input_.fill({asked}) : with_input_.fill({asked, input});
      row.response = data.text(split, i, 1);
      row.ids = sdk::prompted(host_, row.prompt, row.response);
      return row;
    });
  }

  std::span<const palimpsest_column> score_columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column("response_exact_match", "1",
                         "Share of the held-out examples whose greedy continuation is the response, white space around "
                         "it, case and a final full stop aside; of a response of one line only the first line counts."),
        sdk::mean_column("response_logp", "nat",
                         "Mean over the examples of log p(response, end of text included | prompt)."),
        sdk::mean_column(
            "response_logp_mean", "nat/token",
            "Mean over all response tokens of log p(token | tokens before it); minus this is the validation loss of "
            "the same examples."),
        sdk::plain_column("response_tokens", PALIMPSEST_INT64, "token",
                          "Response tokens that the likelihoods were taken over."),
        sdk::plain_column("examples", PALIMPSEST_INT64, "example", "Held-out examples that the score was taken over."),
    };
    return kColumns;
  }

  void score(sdk::Model model, const sdk::Rows& out) override {
    const std::span<const Row> scored = scored_rows(p_.score_examples);
    std::vector<std::string> prompts;
    std::vector<const sdk::Prompted*> responses;
    for (const Row& row : scored) {
      prompts.push_back(row.prompt);
      responses.push_back(&row.ids);
    }
    // Where a blank line may come first, the line end is no end.
    const std::vector<std::string> texts = sdk::continuations(host_, model, prompts, p_.max_new_tokens, {});
    std::int64_t matched = 0;
    for (std::size_t i = 0; i < scored.size(); ++i) matched += matches(texts[i], scored[i].response) ? 1 : 0;
    sdk::Likelihood all;
    for (const sdk::Likelihood& one : sdk::score_responses(host_, model, responses)) all.add(one);
    if (!std::isfinite(all.logp)) {
      sdk::fail(PALIMPSEST_NUMERIC, "the log-probability of ", all.tokens, " response tokens is not finite (sum ",
                all.logp, ")");
    }
    const auto examples = static_cast<double>(scored.size());
    out.row(-1, {static_cast<double>(matched) / examples, all.logp / examples, -all.mean_nll(), all.tokens,
                 static_cast<std::int64_t>(scored.size())});
  }

 private:
  Parameters p_;
  sdk::Template with_input_, without_input_;
};

}  // namespace
}  // namespace palimpsest::instruction

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::instruction::Instruction>)
