// Causal language modelling on the user's text: every document is an example, every token is predicted from those
// before it. The score is the mean negative log-likelihood per token of held-out documents, and its exponential.
#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "palimpsest/sdk/dataset_task.hpp"
#include "palimpsest/sdk/likelihood.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::language_modeling {
namespace {

class LanguageModeling : public sdk::FineTuneTask {
 public:
  struct Parameters {
    sdk::Path file;
    sdk::Text column = "text";
    double validation_share = 0.1;
    bool filter = true;
    std::int64_t score_documents = 100;
    std::int64_t score_tokens = 256;

    static constexpr auto fields() {
      using sdk::field;
      const auto own = std::tuple(
          field("file", &Parameters::file, "Text to train on: .txt (documents between empty lines), .jsonl or .csv.")
              .required(),
          field("column", &Parameters::column, "Column of a .jsonl or .csv file that holds the text."),
          field("score_documents", &Parameters::score_documents, "Held-out documents that the score reads at most.")
              .unit("document")
              .at_least(1),
          field("score_tokens", &Parameters::score_tokens,
                "Tokens of each of these documents that are read at most, counted from its beginning.")
              .unit("token")
              .at_least(2));
      return std::tuple_cat(own, sdk::dataset_fields<Parameters>());
    }
  };
  static constexpr sdk::Info kInfo{"language_modeling", "1.1.0",
                                   "Causal language modelling on a text file; scored by perplexity."};

  LanguageModeling(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void prepare(sdk::Model) override {
    data_.emplace(host_.open_dataset(p_.file, {p_.column.str()}, p_.validation_share, p_.filter));
    for (const auto split : {PALIMPSEST_TRAIN, PALIMPSEST_VALIDATION}) {
      if (data_->count(split) > 0) continue;
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, p_.file.str(), " gives ", data_->count(PALIMPSEST_TRAIN),
                " documents to train on and ", data_->count(PALIMPSEST_VALIDATION),
                " to validate on; both need at least one. Use a larger file, another validation_share (now ",
                p_.validation_share, ") or filter = false");
    }
  }

  palimpsest_batching batching() const override { return PALIMPSEST_BATCHING_PACK; }
  std::int64_t count(palimpsest_split split) override { return data().count(split); }

  sdk::Example example(palimpsest_split split, std::int64_t index) override {
    std::vector<std::int64_t> ids = host_.encode(data().text(split, index), PALIMPSEST_ENCODE_TEXT).ids;
    return {ids, ids};
  }

  std::span<const palimpsest_column> score_columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column("validation_nll", "nat/token",
                         "Mean over all predicted tokens of the held-out documents of -log p(token | tokens before it "
                         "in its document)."),
        sdk::mean_column("validation_perplexity", "1", "exp(validation_nll) of the held-out documents.",
                         PALIMPSEST_GATE_PERPLEXITY),
        sdk::plain_column("tokens", PALIMPSEST_INT64, "token", "Predicted tokens that the score was taken over."),
        sdk::plain_column("documents", PALIMPSEST_INT64, "document",
                          "Held-out documents that the score was taken over."),
    };
    return kColumns;
  }

  void score(sdk::Model model, const sdk::Rows& rows) override {
    const auto documents = scored_documents(model.info().max_positions);
    // No document is longer than the window, the longest.
    sdk::Likelihood likelihood;
    for (const auto& one : sdk::document_likelihoods(host_, model, documents, documents.back().size(), 1)) {
      likelihood.add(one);
    }
    if (!std::isfinite(likelihood.perplexity())) {
      sdk::fail(PALIMPSEST_NUMERIC, "the perplexity of ", likelihood.tokens,
                " held-out tokens is not finite (mean loss ", likelihood.mean_nll(), " nat/token)");
    }
    rows.row(-1, {likelihood.mean_nll(), likelihood.perplexity(), likelihood.tokens,
                  static_cast<std::int64_t>(documents.size())});
  }

 private:
  const sdk::Dataset& data() const {
    if (!data_) sdk::fail(PALIMPSEST_INTERNAL, "prepare was not called");
    return *data_;
  }

  // The tokens of the documents that the score reads, shortest first. A BOS stands before a document where the
  // tokenizer puts one. Documents of one token predict nothing and are passed over.
  std::vector<std::vector<std::int64_t>> scored_documents(std::int64_t max_positions) const {
    const auto longest = static_cast<std::size_t>(std::min(p_.score_tokens, max_positions));
    std::vector<std::vector<std::int64_t>> documents;
    const std::int64_t available = data().count(PALIMPSEST_VALIDATION);
    for (std::int64_t i = 0; i < available && static_cast<std::int64_t>(documents.size()) < p_.score_documents; ++i) {
      std::vector<std::int64_t> ids = host_.encode_prompt(data().text(PALIMPSEST_VALIDATION, i));
      ids.resize(std::min(ids.size(), longest));
      if (ids.size() > 1) documents.push_back(std::move(ids));
    }
    if (documents.empty()) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "none of the ", available, " validation documents of ", p_.file.str(),
                " has two tokens, so there is nothing to score");
    }
    std::stable_sort(documents.begin(), documents.end(),
                     [](const auto& a, const auto& b) { return a.size() < b.size(); });
    return documents;
  }

  sdk::Host host_;
  Parameters p_;
  std::optional<sdk::Dataset> data_;
};

}  // namespace
}  // namespace palimpsest::language_modeling

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::language_modeling::LanguageModeling>)
