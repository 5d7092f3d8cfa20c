// Elasticity: how well the model compresses what it was pre-trained on, what it was edited with, and what it is
// fine-tuned on, as fine-tuning goes on (README.md). One row a measuring point.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "code_length.hpp"
#include "palimpsest/sdk/likelihood.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/reading.hpp"

namespace palimpsest::compression {
namespace {

constexpr palimpsest_column kColumns[] = {
    sdk::mean_column("gamma_general", "bit/byte",
                     "gamma(D1): -log2 p of the general texts, the stand-in for pre-training, over their bytes in "
                     "UTF-8."),
    sdk::mean_column("gamma_intrinsic", "bit/byte",
                     "gamma of the intrinsic facts' statements (prompt and target_true), the other stand-in for "
                     "pre-training. NaN without intrinsic facts."),
    sdk::mean_column("gamma_edits_taught", "bit/byte",
                     "gamma(D2) of what was taught, the edited facts' own prompts with target_new; prompts that an "
                     "augmenter added, which edit_tokens counts, are not seen by metrics and not in it. NaN without "
                     "edited facts."),
    sdk::mean_column("gamma_edits_test", "bit/byte",
                     "gamma(D2) of the edited facts' test paraphrases with target_new. NaN without any."),
    sdk::mean_column("gamma_task", "bit/byte",
                     "gamma(D3) of the task's validation text: the documents of task_file that the task holds out. NaN "
                     "where it is not set."),
    sdk::mean_column("l", "1",
                     "|D3| / |D2|: tokens trained so far over tokens of all edit requests, added ones included. NaN "
                     "without an edit."),
    sdk::mean_column("k", "1", "|D1| / |D2|: pretraining_tokens over tokens of all edit requests. NaN if unknown."),
    sdk::plain_column("tokens_trained_so_far", PALIMPSEST_INT64, "token", "|D3|: tokens trained before this point."),
    sdk::plain_column("edit_tokens", PALIMPSEST_INT64, "token",
                      "|D2|: tokens of all edit requests before this point, prompt and target, added ones included."),
};

// The texts of a set as token ids, with the bytes that each stands for.
struct Texts {
  std::vector<std::vector<std::int64_t>> ids;
  std::vector<std::int64_t> bytes;
};

class Compression : public sdk::Metric {
 public:
  struct Parameters {
    sdk::Path general_file;
    sdk::Path task_file;
    sdk::Text column = "text";
    double validation_share = 0.1;
    bool filter = true;
    std::int64_t first = 0;
    std::int64_t documents = 20;
    std::int64_t document_tokens = 256;
    std::optional<double> pretraining_tokens;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("general_file", &Parameters::general_file, "General text, the stand-in for pre-training (D1).")
              .required(),
          field("task_file", &Parameters::task_file,
                "The task's file; read are the documents that the task holds out of it (D3). Not set: gamma_task is "
                "missing."),
          field("column", &Parameters::column, "Column of the texts in .jsonl and .csv files."),
          field("validation_share", &Parameters::validation_share,
                "Share of task_file that the task holds out: its own parameter's value, so that the same documents "
                "are read.")
              .at_least(0.0001)
              .at_most(0.9),
          field("filter", &Parameters::filter,
                "Whether task_file goes through the experiment's irrelevance filter: the value of the task's own "
                "parameter."),
          field("first", &Parameters::first, "Documents at the start of general_file that are passed over.")
              .unit("document")
              .at_least(0),
          field("documents", &Parameters::documents,
                "Documents of general_file, and held-out ones of task_file, that are read at most, in the file's "
                "order.")
              .unit("document")
              .at_least(1),
          field("document_tokens", &Parameters::document_tokens,
                "Tokens of each document that are read at most, counted from its beginning.")
              .unit("token")
              .at_least(2),
          field("pretraining_tokens", &Parameters::pretraining_tokens,
                "Tokens that the model was pre-trained on, |D1|, for the column k; not set: k is missing.")
              .unit("token")
              .at_least(1));
    }
  };
  static constexpr sdk::Info kInfo{
      "compression", "1.1.0",
      "Bits per byte of general text, intrinsic facts, edits and task text: the data of elasticity."};

  Compression(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  std::span<const palimpsest_column> columns() const override { return kColumns; }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    Texts intrinsic, taught, test;
    for (const auto& fact : request.facts) {
      const std::string own = sdk::fill(fact.prompt(), fact.subject());
      if (fact.role() != "edited") {
        if (!fact.target_true().empty()) add_statement(own, fact.target_true(), intrinsic);
        continue;
      }
      add_statement(own, fact.target_new(), taught);
      for (const auto& probe : fact.probes("paraphrase")) add_statement(probe.prompt, fact.target_new(), test);
    }
    const sdk::Model& model = request.model;
    const auto trained = static_cast<double>(request.tokens_trained), edit = static_cast<double>(request.edit_tokens);
    const auto general = sdk::read_texts(host_, p_.general_file, p_.column, p_.first, p_.documents);
    rows.row(
        -1, {gamma(model, tokenized(general, model)), gamma(model, intrinsic), gamma(model, taught), gamma(model, test),
             p_.task_file.size == 0 ? sdk::missing : gamma(model, tokenized(held_out(), model)), ratio(trained, edit),
             ratio(p_.pretraining_tokens.value_or(std::numeric_limits<double>::quiet_NaN()), edit),
             request.tokens_trained, request.edit_tokens});
  }

 private:
  // What stands before a text, so that its first token is predicted too: BOS where the tokenizer puts one, else EOS,
  // which separates the documents of pre-training; nothing where the tokenizer has neither.
  std::vector<std::int64_t> begun(std::vector<std::int64_t> ids) const {
    const auto special = host_.special_ids();
    if (!ids.empty() && ids.front() == special.bos) return ids;
    const std::int64_t first = special.bos >= 0 ? special.bos : special.eos;
    if (first >= 0) ids.insert(ids.begin(), first);
    return ids;
  }

  void add_statement(const std::string& prompt, const std::string& target, Texts& to) const {
    std::vector<std::int64_t> ids = begun(host_.encode_prompt(prompt));
    const auto answer = host_.encode_target(target);
    ids.insert(ids.end(), answer.begin(), answer.end());
    to.ids.push_back(std::move(ids));
    to.bytes.push_back(static_cast<std::int64_t>(prompt.size() + 1 + target.size()));
  }

  // The first validation documents of the task: asked for as the task asks, so that the host holds out the same.
  std::vector<std::string_view> held_out() const {
    const sdk::Dataset rows = host_.open_dataset(p_.task_file, {p_.column.str()}, p_.validation_share, p_.filter);
    const std::int64_t count = std::min(rows.count(PALIMPSEST_VALIDATION), p_.documents);
    std::vector<std::string_view> documents;
    for (std::int64_t row = 0; row < count; ++row) documents.push_back(rows.text(PALIMPSEST_VALIDATION, row));
    return documents;
  }

  Texts tokenized(const std::vector<std::string_view>& documents, const sdk::Model& model) const {
    // One place is the token that stands before the text.
    const auto longest = static_cast<std::size_t>(std::min(p_.document_tokens, model.info().max_positions - 1));
    Texts texts;
    for (const std::string_view text : documents) {
      sdk::Tokens tokens = host_.encode(text, PALIMPSEST_ENCODE_TEXT);
      if (tokens.ids.empty()) continue;
      tokens.ids.resize(std::min(tokens.ids.size(), longest));
      texts.bytes.push_back(static_cast<std::int64_t>(tokens.offsets[tokens.ids.size() - 1].second));
      texts.ids.push_back(begun(std::move(tokens.ids)));
    }
    return texts;
  }

  double gamma(const sdk::Model& model, const Texts& texts) const {
    std::size_t longest = 2;
    for (const auto& ids : texts.ids) longest = std::max(longest, ids.size());
    const auto likelihoods = sdk::document_likelihoods(host_, model, texts.ids, longest, /*context=*/1);
    CodeLength set;
    for (std::size_t i = 0; i < likelihoods.size(); ++i) set.add(likelihoods[i], texts.bytes[i]);
    return set.gamma();
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::compression

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::compression::Compression>)
