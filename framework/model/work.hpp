// What the runtime has done, counted: tests assert the counts, so that a full forward inside a loop fails.
//
// Counters are per process and atomic; take work() before and after, and subtract. Other threads' work counts too.
#pragma once

#include <cstdint>

namespace palimpsest::model {

struct Work {
  std::int64_t forwards = 0;             // calls of forward(), generation steps included
  std::int64_t layer_tokens = 0;         // tokens x layers run, padding not counted
  std::int64_t padded_layer_tokens = 0;  // rows x tokens of the widest row x layers: what a padded run would have cost
  std::int64_t head_rows = 0;            // positions whose logits or log-probabilities were computed
  std::int64_t solves = 0;               // linear systems solved with a second moment
  std::int64_t recomputed_layer_tokens = 0;  // of layer_tokens, those that a backward pass ran again

  friend Work operator-(const Work& a, const Work& b) {
    return {a.forwards - b.forwards,
            a.layer_tokens - b.layer_tokens,
            a.padded_layer_tokens - b.padded_layer_tokens,
            a.head_rows - b.head_rows,
            a.solves - b.solves,
            a.recomputed_layer_tokens - b.recomputed_layer_tokens};
  }
  friend bool operator==(const Work&, const Work&) = default;
};

// Since the process began.
Work work();
void count_work(const Work& done);

}  // namespace palimpsest::model
