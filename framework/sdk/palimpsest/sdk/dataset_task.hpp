// What tasks over a file of the user's share: parameters, and for those whose every row is an example of its own
// (RowTask) the rows, rendered into tokens once.
//
//   struct Row : sdk::PromptedRow { ... };
//   class MyTask : public sdk::RowTask<Row> {
//    public:
//     struct Parameters {
//       sdk::Path file;
//       double validation_share = 0.1;
//       bool filter = true;
//       std::int64_t example_tokens = 128, score_examples = 100;
//       static constexpr auto fields() {
//         return std::tuple_cat(std::tuple(sdk::field("file", ...)), sdk::row_fields<Parameters>());
//       }
//     };
//     void prepare(sdk::Model) override { render_rows(data, p_.file, longest, [&](auto split, auto i) { ... }); }
//   };
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/kinds.hpp"
#include "palimpsest/sdk/params.hpp"
#include "palimpsest/sdk/responses.hpp"

namespace palimpsest::sdk {

// `validation_share` and `filter`, which P has as members: what Host::open_dataset asks for beside file and columns.
template <typename P>
constexpr auto dataset_fields() {
  return std::tuple(field("validation_share", &P::validation_share,
                          "Share of the examples that is held out, drawn by the experiment's seed; between 0 and 1.")
                        .at_least(0.0001)
                        .at_most(0.9),
                    field("filter", &P::filter,
                          "Drop examples that have to do with the facts of the experiment (its irrelevance filter)."));
}

// Those, `example_tokens` and `score_examples`: of tasks whose examples are a prompt and a response.
template <typename P>
constexpr auto row_fields() {
  return std::tuple_cat(
      dataset_fields<P>(),
      std::tuple(field("example_tokens", &P::example_tokens,
                       "Longest example, prompt and response together; longer ones are left out. Set "
                       "training.block_size to as much.")
                     .unit("token")
                     .at_least(2),
                 field("score_examples", &P::score_examples, "Held-out examples that the score reads at most.")
                     .unit("example")
                     .at_least(1)));
}

// What a RowTask asks of a row.
struct PromptedRow {
  std::string prompt;
  Prompted ids;
  std::size_t size() const { return ids.size(); }  // tokens
  Example example() const { return example_of(ids); }
};

// Examples stand alone, padded to the longest of their batch.
template <typename Row>
class RowTask : public FineTuneTask {
 public:
  palimpsest_batching batching() const override { return PALIMPSEST_BATCHING_PAD; }
  std::int64_t count(palimpsest_split split) override { return static_cast<std::int64_t>(rows(split).size()); }
  Example example(palimpsest_split split, std::int64_t index) override { return row_at(split, index).example(); }

 protected:
  explicit RowTask(Host host) : host_(host) {}

  // `render(split, i)` gives row i of the data. One of more than `longest` tokens is left out, and the log says how
  // many were. Throws Error(PALIMPSEST_INVALID_ARGUMENT), naming `file`, when a split has none left.
  template <typename Render>
  void render_rows(const Dataset& data, std::string_view file, std::int64_t longest, Render&& render) {
    longest = std::max<std::int64_t>(longest, 0);
    std::int64_t left_out = 0;
    for (const palimpsest_split split : {PALIMPSEST_TRAIN, PALIMPSEST_VALIDATION}) {
      std::vector<Row>& kept = rows(split);
      kept.clear();
      const std::int64_t count = data.count(split);
      for (std::int64_t i = 0; i < count; ++i) {
        if (i % 256 == 0) host_.stop_if_cancelled();
        Row row = render(split, i);
        if (row.size() > static_cast<std::size_t>(longest)) {
          ++left_out;
        } else {
          kept.push_back(std::move(row));
        }
      }
    }
    const std::size_t train = rows(PALIMPSEST_TRAIN).size(), validation = rows(PALIMPSEST_VALIDATION).size();
    if (train == 0 || validation == 0) {
      fail(PALIMPSEST_INVALID_ARGUMENT, file, " gives ", train, " examples to train on and ", validation,
           " to validate on (", left_out, " were left out as longer than ", longest,
           " tokens); both need at least one. Use a larger file, another validation_share or example_tokens, or "
           "filter = false");
    }
    if (left_out > 0) {
      host_.log(PALIMPSEST_LOG_INFO, std::string(file) + ": " + std::to_string(left_out) + " examples of more than " +
                                         std::to_string(longest) + " tokens were left out");
    }
  }

  std::vector<Row>& rows(palimpsest_split split) { return rows_.at(static_cast<std::size_t>(split)); }

  // Row `index` of a split, or Error(PALIMPSEST_OUT_OF_RANGE).
  const Row& row_at(palimpsest_split split, std::int64_t index) {
    const std::vector<Row>& list = rows(split);
    if (index < 0 || index >= static_cast<std::int64_t>(list.size())) {
      fail(PALIMPSEST_OUT_OF_RANGE, "example ", index, " of ", list.size());
    }
    return list[static_cast<std::size_t>(index)];
  }

  // The first `most` rows of the validation split.
  std::span<const Row> scored_rows(std::int64_t most) {
    const std::vector<Row>& list = rows(PALIMPSEST_VALIDATION);
    return std::span(list).first(std::min(list.size(), static_cast<std::size_t>(most)));
  }

  Host host_;

 private:
  std::array<std::vector<Row>, 2> rows_;  // by split
};

}  // namespace palimpsest::sdk
