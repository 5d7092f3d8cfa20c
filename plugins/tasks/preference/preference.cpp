// Direct preference optimisation on pairs of a chosen and a rejected response. The reference policy is the model that
// enters the fine-tuning; its log-probabilities are taken before the first step, so no second model is kept.
#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "loss.hpp"
#include "palimpsest/sdk/dataset_task.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/responses.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::preference {
namespace {

struct Row {
  sdk::Prompted chosen, rejected;
  std::size_t size() const { return std::max(chosen.size(), rejected.size()); }
  // What the loss reads: the prompt with the chosen response, then with the rejected one.
  sdk::Example example() const {
    sdk::Example both = sdk::example_of(chosen);
    const sdk::Example second = sdk::example_of(rejected);
    both.token_ids.insert(both.token_ids.end(), second.token_ids.begin(), second.token_ids.end());
    both.labels.insert(both.labels.end(), second.labels.begin(), second.labels.end());
    return both;
  }
};

class Preference : public sdk::RowTask<Row>, public sdk::OwnLoss {
 public:
  struct Parameters {
    sdk::Path file;
    sdk::Text prompt_column = "prompt";
    sdk::Text chosen_column = "chosen";
    sdk::Text rejected_column = "rejected";
    sdk::Text prompt_template = "Question: {prompt}\nAnswer:";
    double beta = 0.1;
    double validation_share = 0.1;
    bool filter = true;
    std::int64_t example_tokens = 128;
    std::int64_t train_examples = 1000;
    std::int64_t score_examples = 100;

    static constexpr auto fields() {
      using sdk::field;
      const auto own = std::tuple(
          field("file", &Parameters::file, "Pairs of responses to train on, .jsonl or .csv.").required(),
          field("prompt_column", &Parameters::prompt_column, "Column that holds the prompt."),
          field("chosen_column", &Parameters::chosen_column, "Column that holds the preferred response."),
          field("rejected_column", &Parameters::rejected_column, "Column that holds the other response."),
          field("template", &Parameters::prompt_template, "Prompt that the responses follow: {prompt} is replaced."),
          field("beta", &Parameters::beta,
                "How strongly the tuned model is held to the one that enters: the factor of the log-probability "
                "ratios.")
              .at_least(1e-6),
          field("example_tokens", &Parameters::example_tokens,
                "Longest prompt with either response; pairs with a longer one are left out.")
              .unit("token")
              .at_least(2),
          field(
              "train_examples", &Parameters::train_examples,
              "Pairs to train on at most: the reference's log-probabilities of all of them are taken before the first "
              "step.")
              .unit("pair")
              .at_least(1),
          field("score_examples", &Parameters::score_examples,
                "Held-out pairs at most, for the score and for the validation loss.")
              .unit("pair")
              .at_least(1));
      return std::tuple_cat(own, sdk::dataset_fields<Parameters>());
    }
  };
  static constexpr sdk::Info kInfo{"preference", "1.0.0",
                                   "Direct preference optimisation; scored by preferred pairs and reward margin."};

  Preference(sdk::Host host, const Parameters& parameters)
      : RowTask(host), p_(parameters), prompt_("template", p_.prompt_template, {"prompt"}) {}

  void prepare(sdk::Model model) override {
    const sdk::Dataset data =
        host_.open_dataset(p_.file, {p_.prompt_column.str(), p_.chosen_column.str(), p_.rejected_column.str()},
                           p_.validation_share, p_.filter);
    const std::int64_t longest = std::min(p_.example_tokens, model.info().max_positions);
    render_rows(data, p_.file, longest, [&](palimpsest_split split, std::int64_t i) {
      const std::string prompt = prompt_.fill({data.text(split, i, 0)});
      Row row{sdk::prompted(host_, prompt, data.text(split, i, 1)),
              sdk::prompted(host_, prompt, data.text(split, i, 2))};
      if (row.chosen.response == row.rejected.response) {
        sdk::fail(PALIMPSEST_INVALID_ARGUMENT, p_.file.str(), ": both responses to \"", prompt, "\" are \"",
                  data.text(split, i, 1), "\"; expected two that differ");
      }
      return row;
    });
    const auto keep = [](std::vector<Row>& rows, std::int64_t most) {
      rows.resize(std::min(rows.size(), static_cast<std::size_t>(most)));
    };
    keep(rows(PALIMPSEST_TRAIN), p_.train_examples);
    keep(rows(PALIMPSEST_VALIDATION), p_.score_examples);
    // What the score compares with, in the arithmetic of scores.
    scored_reference_ = pair_logps(model, rows(PALIMPSEST_VALIDATION));
  }

  void prepare_loss(sdk::Model model) override {
    for (const palimpsest_split split : {PALIMPSEST_TRAIN, PALIMPSEST_VALIDATION}) {
      reference_[static_cast<std::size_t>(split)] = pair_logps(model, rows(split));
    }
  }

  sdk::Tensor loss(sdk::Model model, palimpsest_split split, std::span<const std::int64_t> examples) override {
    const auto& reference = reference_.at(static_cast<std::size_t>(split));
    if (reference.empty()) sdk::fail(PALIMPSEST_INTERNAL, "the loss was asked for before its preparation");
    std::vector<std::vector<std::int64_t>> inputs;
    std::vector<sdk::Position> at;
    std::vector<std::int64_t> targets, lengths;
    std::vector<PairLogp> of_reference;
    for (const std::int64_t example : examples) {
      const Row& pair = row_at(split, example);
      for (const sdk::Prompted* response : {&pair.chosen, &pair.rejected}) {
        sdk::ask_response(*response, inputs, at, targets);
        lengths.push_back(static_cast<std::int64_t>(response->response.size()));
      }
      of_reference.push_back(reference[static_cast<std::size_t>(example)]);
    }
    const auto result = model.run(sdk::Forward(inputs).logprobs(std::move(at), std::move(targets)));
    return sdk::to_handle(host_.get(), dpo_loss(sdk::torch_tensor(result.logprobs), lengths, of_reference, p_.beta));
  }

  std::span<const palimpsest_column> score_columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column(
            "preferred", "1",
            "Share of the held-out pairs whose chosen response is the more probable: log p(chosen | prompt) > log "
            "p(rejected | prompt), sums over the response's tokens, end of text included."),
        sdk::mean_column("reward_accuracy", "1",
                         "Share of the pairs whose reward margin is above 0. With rewards beta log(p / p_reference), 0 "
                         "of a model that is its own reference."),
        sdk::mean_column(
            "reward_margin", "nat",
            "Mean over the pairs of the chosen response's reward minus the rejected one's; the reference is the model "
            "that entered the fine-tuning."),
        sdk::plain_column("pairs", PALIMPSEST_INT64, "pair", "Held-out pairs that the score was taken over."),
    };
    return kColumns;
  }

  void score(sdk::Model model, const sdk::Rows& out) override {
    const std::vector<PairLogp> now = pair_logps(model, rows(PALIMPSEST_VALIDATION));
    double preferred = 0, rewarded = 0, margins = 0;
    for (std::size_t i = 0; i < now.size(); ++i) {
      const double difference = now[i].chosen - now[i].rejected;
      const double margin = p_.beta * (difference - (scored_reference_[i].chosen - scored_reference_[i].rejected));
      preferred += difference > 0 ? 1 : 0;
      rewarded += margin > 0 ? 1 : 0;
      margins += margin;
    }
    if (!std::isfinite(margins)) {
      sdk::fail(PALIMPSEST_NUMERIC, "the reward margin of ", now.size(), " pairs is not finite (sum ", margins, ")");
    }
    const auto pairs = static_cast<double>(now.size());
    out.row(-1, {preferred / pairs, rewarded / pairs, margins / pairs, static_cast<std::int64_t>(now.size())});
  }

 private:
  std::vector<PairLogp> pair_logps(const sdk::Model& model, std::span<const Row> rows) const {
    std::vector<const sdk::Prompted*> responses;
    for (const Row& row : rows) responses.insert(responses.end(), {&row.chosen, &row.rejected});
    const auto scores = sdk::score_responses(host_, model, responses);
    std::vector<PairLogp> pairs;
    for (std::size_t i = 0; i < scores.size(); i += 2) pairs.push_back({scores[i].logp, scores[i + 1].logp});
    return pairs;
  }

  Parameters p_;
  sdk::Template prompt_;
  std::array<std::vector<PairLogp>, 2> reference_;  // of every pair, by split, once prepare_loss ran
  std::vector<PairLogp> scored_reference_;          // of the pairs that the score reads
};

}  // namespace
}  // namespace palimpsest::preference

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::preference::Preference>)
