#include "model/work.hpp"

#include <atomic>

namespace palimpsest::model {
namespace {

struct Counters {
  std::atomic<std::int64_t> forwards{0};
  std::atomic<std::int64_t> layer_tokens{0};
  std::atomic<std::int64_t> padded_layer_tokens{0};
  std::atomic<std::int64_t> head_rows{0};
  std::atomic<std::int64_t> solves{0};
  std::atomic<std::int64_t> recomputed_layer_tokens{0};
};

constinit Counters counters;

}  // namespace

Work work() {
  constexpr auto kOrder = std::memory_order_relaxed;
  return {counters.forwards.load(kOrder),
          counters.layer_tokens.load(kOrder),
          counters.padded_layer_tokens.load(kOrder),
          counters.head_rows.load(kOrder),
          counters.solves.load(kOrder),
          counters.recomputed_layer_tokens.load(kOrder)};
}

void count_work(const Work& done) {
  constexpr auto kOrder = std::memory_order_relaxed;
  counters.forwards.fetch_add(done.forwards, kOrder);
  counters.layer_tokens.fetch_add(done.layer_tokens, kOrder);
  counters.padded_layer_tokens.fetch_add(done.padded_layer_tokens, kOrder);
  counters.head_rows.fetch_add(done.head_rows, kOrder);
  counters.solves.fetch_add(done.solves, kOrder);
  counters.recomputed_layer_tokens.fetch_add(done.recomputed_layer_tokens, kOrder);
}

}  // namespace palimpsest::model
