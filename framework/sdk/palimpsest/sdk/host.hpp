// The host as an author sees it: tokenizer, second moments, data, random streams, log, progress, cancelling.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "palimpsest/sdk/tensor.hpp"
#include "palimpsest/services/dataset.h"
#include "palimpsest/services/second_moment.h"
#include "palimpsest/services/tokenizer.h"

namespace palimpsest::sdk {

struct Tokens {
  std::vector<std::int64_t> ids;
  std::vector<std::pair<std::size_t, std::size_t>> offsets;  // byte ranges in the text
};

// Ids of special tokens, -1 where the tokenizer has none.
struct SpecialIds {
  std::int64_t bos = -1, eos = -1, pad = -1;
};

// A dataset of the instance; lives as long as the instance.
class Dataset {
 public:
  Dataset(const palimpsest_host* host, palimpsest_dataset* dataset) : host_(host), dataset_(dataset) {}
  std::int64_t count(palimpsest_split split) const {
    std::int64_t rows = 0;
    check(host_, service<palimpsest_dataset_v1>(host_, PALIMPSEST_DATASET_1).count(host_, dataset_, split, &rows));
    return rows;
  }
  std::string_view text(palimpsest_split split, std::int64_t row, std::size_t column = 0) const {
    palimpsest_text out{};
    check(host_,
          service<palimpsest_dataset_v1>(host_, PALIMPSEST_DATASET_1).text(host_, dataset_, split, row, column, &out));
    return view(out);
  }

 private:
  const palimpsest_host* host_;
  palimpsest_dataset* dataset_;
};

class Host {
 public:
  explicit Host(const palimpsest_host* host) : host_(host) {}
  const palimpsest_host* get() const { return host_; }

  Tokens encode(std::string_view text_to_encode, palimpsest_encode_as as) const {
    Tokens tokens;
    const palimpsest_token_sink sink{&tokens, [](void* context, const std::int64_t* ids, const std::size_t* begins,
                                                 const std::size_t* ends, std::size_t count) {
                                       auto& out = *static_cast<Tokens*>(context);
                                       out.ids.assign(ids, ids + count);
                                       for (std::size_t i = 0; i < count; ++i)
                                         out.offsets.emplace_back(begins[i], ends[i]);
                                       return palimpsest_status{PALIMPSEST_OK};
                                     }};
    check(host_, tokenizer().encode(host_, text(text_to_encode), as, &sink));
    return tokens;
  }
  std::vector<std::int64_t> encode_prompt(std::string_view prompt) const {
    return encode(prompt, PALIMPSEST_ENCODE_PROMPT).ids;
  }
  std::vector<std::int64_t> encode_target(std::string_view target) const {
    return encode(target, PALIMPSEST_ENCODE_TARGET).ids;
  }
  // Of a text that goes on behind another one, as it stands: encode_prompt(a) and these ids decode to `a` and the text.
  std::vector<std::int64_t> encode_continuation(std::string_view continuation) const {
    return encode(continuation, PALIMPSEST_ENCODE_CONTINUATION).ids;
  }
  std::string decode(const std::vector<std::int64_t>& ids) const {
    std::string decoded;
    const palimpsest_text_sink sink{&decoded, [](void* context, palimpsest_text made) {
                                      *static_cast<std::string*>(context) = std::string(view(made));
                                      return palimpsest_status{PALIMPSEST_OK};
                                    }};
    check(host_, tokenizer().decode(host_, ids.data(), ids.size(), &sink));
    return decoded;
  }
  SpecialIds special_ids() const {
    SpecialIds ids;
    check(host_, tokenizer().special_ids(host_, &ids.bos, &ids.eos, &ids.pad));
    return ids;
  }
  // Index, in encode_prompt of the filled template, of the subject's last token.
  std::int64_t subject_last_token(std::string_view prompt_template, std::string_view subject) const {
    std::int64_t index = 0;
    check(host_, tokenizer().subject_last_token(host_, text(prompt_template), text(subject), &index));
    return index;
  }

  // X with (scale * C) X = rhs, float64.
  Tensor second_moment_solve(std::int64_t layer, double scale, const Tensor& rhs) const {
    palimpsest_tensor out = nullptr;
    check(host_, second_moment().solve(host_, layer, scale, rhs.get(), &out));
    return Tensor::adopt(host_, out);
  }
  // The mean matrix C [mlp, mlp], float64.
  Tensor second_moment_matrix(std::int64_t layer) const {
    palimpsest_tensor out = nullptr;
    std::int64_t count = 0;
    check(host_, second_moment().matrix(host_, layer, &out, &count));
    return Tensor::adopt(host_, out);
  }

  // Opens the user's file; rows are split by the experiment's seed and, if asked, go through its irrelevance filter. A
  // metric gets either only with the parameters `validation_share` and `filter` (dataset_task.hpp): by these names the
  // program knows that its measurements follow from all facts of the experiment.
  Dataset open_dataset(std::string_view path, const std::vector<std::string>& columns, double validation_share,
                       bool filter) const {
    std::vector<palimpsest_text> names;
    for (const auto& column : columns) names.push_back(text(column));
    palimpsest_dataset_request request{};
    request.path = text(path);
    request.columns = names.data();
    request.column_count = names.size();
    request.validation_share = validation_share;
    request.filter = filter ? 1 : 0;
    palimpsest_dataset* dataset = nullptr;
    check(host_, service<palimpsest_dataset_v1>(host_, PALIMPSEST_DATASET_1).open(host_, &request, &dataset));
    return Dataset(host_, dataset);
  }

  // The next `count` numbers of the named stream of the cell's seed, in [0, 1) or standard normal. A stream belongs to
  // the instance and goes on from call to call: what is to be the same for a fact whenever it is asked about comes from
  // a stream of the fact's own, drawn once and kept.
  std::vector<double> uniform(std::string_view stream, std::size_t count) const {
    std::vector<double> out(count);
    check(host_, random().uniform(host_, text(stream), out.data(), count));
    return out;
  }
  std::vector<double> normal(std::string_view stream, std::size_t count) const {
    std::vector<double> out(count);
    check(host_, random().normal(host_, text(stream), out.data(), count));
    return out;
  }
  void log(palimpsest_log_level level, std::string_view message) const {
    service<palimpsest_log_v1>(host_, PALIMPSEST_LOG_1).write(host_, level, text(message));
  }
  void progress(std::string_view label, std::int64_t done, std::int64_t total, std::string_view unit) const {
    service<palimpsest_progress_v1>(host_, PALIMPSEST_PROGRESS_1).report(host_, text(label), done, total, text(unit));
  }
  // Throws Error(PALIMPSEST_CANCELLED) when the user asked to stop.
  void stop_if_cancelled() const {
    if (service<palimpsest_cancel_v1>(host_, PALIMPSEST_CANCEL_1).requested(host_) != 0) {
      fail(PALIMPSEST_CANCELLED, "stopped on request");
    }
  }

 private:
  const palimpsest_random_v1& random() const { return service<palimpsest_random_v1>(host_, PALIMPSEST_RANDOM_1); }
  const palimpsest_tokenizer_v1& tokenizer() const {
    return service<palimpsest_tokenizer_v1>(host_, PALIMPSEST_TOKENIZER_1);
  }
  const palimpsest_second_moment_v1& second_moment() const {
    return service<palimpsest_second_moment_v1>(host_, PALIMPSEST_SECOND_MOMENT_1);
  }
  const palimpsest_host* host_;
};

}  // namespace palimpsest::sdk
