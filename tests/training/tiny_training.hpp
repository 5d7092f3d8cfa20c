// A tiny checkpoint, rows to train it on, and options, for the tests of the loop.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "base/rng.hpp"
#include "model/golden_model.hpp"
#include "training/loop.hpp"

namespace palimpsest::training {

inline model::Model tiny_model(const std::string& name = "llama_tied") {
  return model::open_model(model::golden_folder(name));
}

// Rows that repeat themselves, so that there is something to learn.
inline std::vector<Example> tiny_rows(std::int64_t count, std::int64_t length, std::uint64_t seed) {
  Rng rng(seed, "tests.tiny_rows");
  std::vector<Example> rows;
  for (std::int64_t row = 0; row < count; ++row) {
    Example example;
    const auto start = static_cast<std::int64_t>(rng.below(40));
    for (std::int64_t t = 0; t < length; ++t) example.token_ids.push_back(10 + (start + 3 * t) % 40);
    rows.push_back(std::move(example));
  }
  return rows;
}

inline std::vector<Decision> all_trainable(const model::Parameters& parameters) {
  return std::vector<Decision>(parameters.size());
}

inline TrainingOptions tiny_options(std::int64_t steps) {
  TrainingOptions options;
  options.adamw = {.weight_decay = 0.05, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8};
  options.schedule = {ScheduleKind::kLinear, 5e-3, 0.1};
  options.batch_size = 4;
  options.max_steps = steps;
  return options;
}

}  // namespace palimpsest::training
