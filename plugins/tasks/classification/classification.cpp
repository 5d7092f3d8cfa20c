// Text classification by language: a text is rendered into a prompt, its label is a word that follows. Trained on the
// label's tokens; classified by which label is the most probable after the prompt.
#include <algorithm>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "palimpsest/sdk/dataset_task.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/probing.hpp"
#include "scores.hpp"

namespace palimpsest::classification {
namespace {

struct Row : sdk::PromptedRow {
  std::size_t label = 0;
};

class Classification : public sdk::RowTask<Row> {
 public:
  struct Parameters {
    sdk::Path file;
    sdk::Text text_column = "text";
    sdk::Text label_column = "label";
    sdk::Text prompt_template = "Text: {text}\nLabel:";
    sdk::List<sdk::Text> labels;
    sdk::List<sdk::Text> label_words;
    double validation_share = 0.1;
    bool filter = true;
    std::int64_t example_tokens = 128;
    std::int64_t score_examples = 200;

    static constexpr auto fields() {
      using sdk::field;
      const auto own = std::tuple(
          field("file", &Parameters::file, "Labelled texts to train on, .jsonl or .csv.").required(),
          field("text_column", &Parameters::text_column, "Column that holds the text."),
          field("label_column", &Parameters::label_column, "Column that holds its label."),
          field("template", &Parameters::prompt_template,
                "Prompt that the label's words follow, after a space: {text} is replaced."),
          field("labels", &Parameters::labels,
                "The labels as the file has them; empty: those of the rows to train on, in alphabetical order."),
          field("label_words", &Parameters::label_words,
                "The words that stand for `labels` after the prompt, in their order; empty: the labels themselves."));
      return std::tuple_cat(own, sdk::row_fields<Parameters>());
    }
  };
  static constexpr sdk::Info kInfo{
      "classification", "1.0.0",
      "Text classification with verbalised labels; scored by accuracy and macro-averaged F1."};

  Classification(sdk::Host host, const Parameters& parameters)
      : RowTask(host), p_(parameters), prompt_("template", p_.prompt_template, {"text"}) {
    prompt_.refuse_space_at_end();
    if (!p_.label_words.empty() && p_.label_words.size() != p_.labels.size()) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "label_words has ", p_.label_words.size(), " entries and labels ",
                p_.labels.size(), "; expected one word for each label");
    }
  }

  void prepare(sdk::Model model) override {
    const sdk::Dataset data =
        host_.open_dataset(p_.file, {p_.text_column.str(), p_.label_column.str()}, p_.validation_share, p_.filter);
    find_labels(data);
    const std::int64_t longest = std::min(p_.example_tokens, model.info().max_positions);
    render_rows(data, p_.file, longest, [&](palimpsest_split split, std::int64_t i) {
      Row row;
      row.label = index_of(data.text(split, i, 1));
      row.prompt = prompt_.fill({data.text(split, i, 0)});
      row.ids = sdk::prompted(host_, row.prompt, words_[row.label]);
      return row;
    });
  }

  std::span<const palimpsest_column> score_columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column(
            "accuracy", "1",
            "Share of the held-out texts whose label is the most probable of all labels after the prompt (sum of log p "
            "over its tokens; of equal ones the first)."),
        sdk::mean_column("macro_f1", "1",
                         "Mean of 2 TP / (2 TP + FP + FN) over the labels that occur, as truth or as prediction."),
        sdk::plain_column("majority", PALIMPSEST_FLOAT64, "1",
                          "Share of the most frequent true label: the accuracy of always giving it."),
        sdk::plain_column("examples", PALIMPSEST_INT64, "example", "Held-out examples that the score was taken over."),
    };
    return kColumns;
  }

  void score(sdk::Model model, const sdk::Rows& out) override {
    const std::span<const Row> scored = scored_rows(p_.score_examples);
    std::vector<sdk::TargetQuery> queries;
    for (const Row& row : scored) {
      for (const auto& word : words_) queries.push_back({row.prompt, word});
    }
    const auto answers = sdk::score_targets(host_, model, queries);
    Confusion confusion(labels_.size());
    for (std::size_t i = 0; i < scored.size(); ++i) {
      std::size_t best = 0;
      double best_logp = answers[i * labels_.size()].logp();
      for (std::size_t label = 1; label < labels_.size(); ++label) {
        const double logp = answers[i * labels_.size() + label].logp();
        if (logp > best_logp) std::tie(best, best_logp) = std::pair(label, logp);
      }
      confusion.add(scored[i].label, best);
    }
    const double accuracy = confusion.accuracy(), macro_f1 = confusion.macro_f1(), majority = confusion.majority();
    out.row(-1, {accuracy, macro_f1, majority, confusion.total()});
  }

 private:
  void find_labels(const sdk::Dataset& data) {
    labels_.clear();
    words_.clear();
    for (const auto label : p_.labels) labels_.push_back(label.str());
    if (labels_.empty()) {
      std::set<std::string> found;
      for (std::int64_t i = 0; i < data.count(PALIMPSEST_TRAIN); ++i) {
        found.emplace(data.text(PALIMPSEST_TRAIN, i, 1));
        if (found.size() > sdk::List<sdk::Text>::kCapacity) {
          sdk::fail(PALIMPSEST_INVALID_ARGUMENT, p_.file.str(), ": the column \"", p_.label_column.str(),
                    "\" has more than ", sdk::List<sdk::Text>::kCapacity,
                    " different labels; expected the column of a few labels, or name them in `labels`");
        }
      }
      labels_.assign(found.begin(), found.end());
    }
    if (labels_.size() < 2) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, p_.file.str(), ": found ", labels_.size(), " label",
                labels_.empty() ? "" : "s (\"" + labels_.front() + "\")", "; expected at least two to choose from");
    }
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      words_.push_back(p_.label_words.empty() ? labels_[i] : p_.label_words[i].str());
      if (std::find(words_.begin(), words_.end() - 1, words_.back()) != words_.end() - 1) {
        sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "two labels are given the word \"", words_.back(),
                  "\"; expected a different one for each");
      }
    }
  }

  std::size_t index_of(std::string_view label) const {
    const auto found = std::find(labels_.begin(), labels_.end(), label);
    if (found == labels_.end()) {
      std::string known;
      for (const auto& each : labels_) known += (known.empty() ? "" : ", ") + each;
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, p_.file.str(), ": found the label \"", label, "\"; expected one of ",
                known);
    }
    return static_cast<std::size_t>(found - labels_.begin());
  }

  Parameters p_;
  sdk::Template prompt_;
  std::vector<std::string> labels_, words_;
};

}  // namespace
}  // namespace palimpsest::classification

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::classification::Classification>)
