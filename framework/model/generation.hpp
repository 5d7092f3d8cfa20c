// Continuations of prompts: batched, of any lengths, with a key/value cache that is allocated once; a row that has
// ended leaves the batch.
//
// Greedy unless a temperature is given; equal logits go to the lower id. Sampling draws one uniform number a step from
// a stream of the row's own, so that a text does not depend on which others are written beside it, nor on when they
// end. Runs without gradients. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/decoder.hpp"
#include "model/model.hpp"

namespace palimpsest::model {

struct GenerationOptions {
  std::int64_t max_new_tokens = 50;
  std::vector<std::int64_t> stop_ids;  // a row ends with the first of these, which its continuation includes
  double temperature = 0.0;            // 0: greedy
  std::int64_t top_k = 0;              // 0: all
  double top_p = 1.0;                  // least set of most probable tokens that holds this share
  std::uint64_t seed = 0;
  std::string stream;  // required when temperature > 0: row r draws from Rng(seed, "<stream>/<r>")
  // Asked after each new token with (row, continuation so far); true ends the row: for stop texts.
  std::function<bool(std::int64_t, const std::vector<std::int64_t>&)> stop;
  std::int64_t batch_rows = 128;  // prompts run together; longer lists go in batches of similar lengths
};

// Continuations without their prompts, in the prompts' order. Throws Error: kInvalidArgument (an empty prompt,
// senseless options), kOutOfRange (an id outside the vocabulary; prompt and continuation longer than the model's
// positions).
std::vector<std::vector<std::int64_t>> generate(const Config& config, const Parameters& parameters,
                                                const std::vector<std::vector<std::int64_t>>& prompts,
                                                const GenerationOptions& options, const Overrides& overrides = {});
inline std::vector<std::vector<std::int64_t>> generate(const Model& model,
                                                       const std::vector<std::vector<std::int64_t>>& prompts,
                                                       const GenerationOptions& options,
                                                       const Overrides& overrides = {}) {
  return generate(model.config, model.parameters, prompts, options, overrides);
}

}  // namespace palimpsest::model
