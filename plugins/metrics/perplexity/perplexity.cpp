// Perplexity on a text of the user's, usually one that is unlike the task's: what edits and fine-tuning do to the rest
// of the language. One row a measuring point, about no single fact.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/likelihood.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/reading.hpp"

namespace palimpsest::perplexity {
namespace {

class Perplexity : public sdk::Metric {
 public:
  struct Parameters {
    sdk::Path file;
    sdk::Text column = "text";
    std::int64_t first = 0;
    std::int64_t documents = 50;
    std::int64_t document_tokens = 256;
    std::int64_t window = 256;
    std::int64_t context = 1;
    sdk::Text when = "ends";

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("file", &Parameters::file, "Text to read: .txt (documents between empty lines), .jsonl or .csv.")
              .required(),
          field("column", &Parameters::column, "Column of a .jsonl or .csv file that holds the text."),
          field(
              "first", &Parameters::first,
              "Documents at the start of the file that are passed over, e.g. those that second moments were taken of.")
              .unit("document")
              .at_least(0),
          field("documents", &Parameters::documents, "Documents read at most, in the file's order.")
              .unit("document")
              .at_least(1),
          field("document_tokens", &Parameters::document_tokens,
                "Tokens of each document that are read at most, counted from its beginning.")
              .unit("token")
              .at_least(2),
          field("window", &Parameters::window,
                "Tokens that run in one pass; a longer document is read in windows. Never more than the model has "
                "positions.")
              .unit("token")
              .at_least(2),
          field(
              "context", &Parameters::context,
              "Tokens at the start of every window but the first that only give context: 1 reads block by block, more "
              "strides by window - context. Less than window.")
              .unit("token")
              .at_least(1),
          field("when", &Parameters::when, sdk::kWhenDoc).choices(sdk::kWhenChoices));
    }
  };
  static constexpr sdk::Info kInfo{"perplexity", "1.0.0", "Perplexity on a text file, read in windows."};

  Perplexity(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {
    if (p_.context >= p_.window) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "context is ", p_.context, " and window is ", p_.window,
                "; expected a context smaller than the window");
    }
  }

  std::uint32_t when() const override { return sdk::when_of(p_.when); }

  std::span<const palimpsest_column> columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column("perplexity", "1",
                         "exp of the mean over all predicted tokens of the documents of -log p(token | tokens before "
                         "it in its window).",
                         PALIMPSEST_GATE_PERPLEXITY),
        sdk::mean_column("mean_nll", "nat/token", "The logarithm of perplexity."),
        sdk::plain_column("predicted_tokens", PALIMPSEST_INT64, "token", "Tokens that perplexity was taken over."),
        sdk::plain_column("documents_read", PALIMPSEST_INT64, "document", "Documents that perplexity was taken over."),
    };
    return kColumns;
  }

  void measure(const sdk::MeasureRequest& request, const sdk::Rows& rows) override {
    const std::int64_t window = std::min(p_.window, request.model.info().max_positions);
    if (p_.context >= window) {
      sdk::fail(PALIMPSEST_OUT_OF_RANGE, "context is ", p_.context, " tokens, and the model has only ", window,
                " positions; expected a smaller context");
    }
    const auto documents = this->documents();
    sdk::Likelihood all;
    for (const auto& one : sdk::document_likelihoods(host_, request.model, documents, static_cast<std::size_t>(window),
                                                     static_cast<std::size_t>(p_.context))) {
      all.add(one);
    }
    if (!std::isfinite(all.perplexity())) {
      sdk::fail(PALIMPSEST_NUMERIC, "the perplexity of ", all.tokens, " tokens of ", p_.file.str(),
                " is not finite (mean -log p ", all.mean_nll(), " nat/token)");
    }
    rows.row(-1, {all.perplexity(), all.mean_nll(), all.tokens, static_cast<std::int64_t>(documents.size())});
  }

 private:
  // Token ids; a BOS stands first where the tokenizer puts one. Documents of one token predict nothing and are passed
  // over.
  std::vector<std::vector<std::int64_t>> documents() const {
    std::vector<std::vector<std::int64_t>> documents;
    for (const std::string_view text : sdk::read_texts(host_, p_.file, p_.column, p_.first, p_.documents)) {
      std::vector<std::int64_t> ids = host_.encode_prompt(text);
      ids.resize(std::min(ids.size(), static_cast<std::size_t>(p_.document_tokens)));
      if (ids.size() > 1) documents.push_back(std::move(ids));
    }
    if (documents.empty()) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "none of the documents read from ", p_.file.str(),
                " has two tokens, so there is nothing to predict");
    }
    return documents;
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::perplexity

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::perplexity::Perplexity>)
