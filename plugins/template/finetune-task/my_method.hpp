// The task `my-method`: continue a document. The first `given` tokens of each row are read and cost nothing; the loss
// is on those that follow.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"

namespace my_method {

namespace sdk = palimpsest::sdk;

class MyMethod : public sdk::FineTuneTask {
 public:
  // What the user may set: the member is the default, the field its name, meaning and limits. The program checks the
  // TOML file and prints help from this alone.
  struct Parameters {
    sdk::Path file;
    sdk::Text column = "text";
    std::int64_t given = 8;
    double validation_share = 0.1;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("file", &Parameters::file, "Text to train on: .txt (documents between empty lines), .jsonl or .csv.")
              .required(),
          field("column", &Parameters::column, "Column of a .jsonl or .csv file that holds the text."),
          field("given", &Parameters::given, "Tokens at the start of a row that carry no loss.")
              .unit("token")
              .at_least(1),
          field("validation_share", &Parameters::validation_share, "Share of the rows that is held out.")
              .at_least(0.01)
              .at_most(0.9));
    }
  };
  static constexpr sdk::Info kInfo{"my-method", "0.1.0", "Continue a document after its first tokens."};

  // `host` (tokenizer, random streams, log, progress) outlives the instance.
  MyMethod(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  // Called once, before the first step. The program opens, checks and splits the file, and drops what has to do with
  // the experiment's facts. To fail, throw: sdk::fail(status, parts...) says what was found, what was expected and what
  // to do.
  void prepare(sdk::Model model) override {
    longest_ = static_cast<std::size_t>(model.info().max_positions);
    data_.emplace(host_.open_dataset(p_.file, {p_.column.str()}, p_.validation_share, /*filter=*/true));
    if (data_->count(PALIMPSEST_VALIDATION) == 0) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, p_.file.str(), " leaves no row to validate on; use a larger file");
    }
  }

  // Examples stand alone, padded to the longest of their batch.
  palimpsest_batching batching() const override { return PALIMPSEST_BATCHING_PAD; }
  std::int64_t count(palimpsest_split split) override { return data().count(split); }

  // labels[t]: the id that the loss wants where token t stands (the program shifts), or -100 for none.
  sdk::Example example(palimpsest_split split, std::int64_t index) override {
    sdk::Example made;
    made.token_ids = host_.encode(data().text(split, index), PALIMPSEST_ENCODE_TEXT).ids;
    made.token_ids.resize(std::min(made.token_ids.size(), longest_));
    made.labels = made.token_ids;
    std::fill_n(made.labels.begin(), std::min(made.labels.size(), static_cast<std::size_t>(p_.given)), -100);
    return made;
  }

  // The task's own measure of success: columns as a metric declares them, rows about no single fact (-1).
  std::span<const palimpsest_column> score_columns() const override {
    static constexpr palimpsest_column kColumns[] = {
        sdk::mean_column("continuation_nll", "nat/token",
                         "Mean of -log p(token | tokens before it) over what follows the given tokens of the held-out "
                         "rows.")};
    return kColumns;
  }

  void score(sdk::Model model, const sdk::Rows& rows) override {
    double sum = 0;
    std::int64_t tokens = 0;
    for (std::int64_t row = 0; row < data().count(PALIMPSEST_VALIDATION); ++row) {
      const sdk::Example one = example(PALIMPSEST_VALIDATION, row);
      std::vector<sdk::Position> at;
      std::vector<std::int64_t> targets;
      for (std::size_t t = 1; t < one.labels.size(); ++t) {
        if (one.labels[t] < 0) continue;
        at.push_back({0, static_cast<std::int64_t>(t) - 1});
        targets.push_back(one.labels[t]);
      }
      if (targets.empty()) continue;
      const auto result = model.run(sdk::Forward({one.token_ids}).logprobs(at, targets));
      for (const double logp : result.logprobs.numbers()) sum -= logp;
      tokens += static_cast<std::int64_t>(targets.size());
    }
    if (tokens == 0) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "no held-out row of ", p_.file.str(), " has more than ", p_.given,
                " tokens");
    }
    rows.row(-1, {sum / static_cast<double>(tokens)});
  }

 private:
  const sdk::Dataset& data() const {
    if (!data_) sdk::fail(PALIMPSEST_INTERNAL, "prepare was not called");
    return *data_;
  }

  sdk::Host host_;
  Parameters p_;
  std::optional<sdk::Dataset> data_;
  std::size_t longest_ = 0;  // row, of what the model can read
};

}  // namespace my_method
