// What benchmarks of editors share with their Python counterparts: facts, contexts, second moments.
#pragma once

#include <ATen/ATen.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/second_moment.hpp"
#include "plugin/instance.hpp"

namespace palimpsest::benchmarks {

// The first `count` facts of configs/facts/world.jsonl, in its order.
inline std::vector<plugin::EditRequest> facts(std::size_t count) {
  std::vector<plugin::EditRequest> requests;
  std::ifstream file(PALIMPSEST_FACTS);
  for (std::string line; requests.size() < count && std::getline(file, line);) {
    const nlohmann::json fact = nlohmann::json::parse(line);
    requests.push_back({nullptr, fact.at("prompt"), fact.at("subject"), fact.at("target_new"), PALIMPSEST_PROMPT_OWN});
  }
  return requests;
}

// Five texts of about ten tokens, as the published editors sample them; the same stand in the Python counterpart.
inline std::vector<std::string> five_contexts() {
  return {"{}",
          "The weather in the north was cold last year. {}",
          "Therefore people of the town went to the market. {}",
          "Because a long road leads from here to the sea. {}",
          "I think that most of the old books were lost. {}",
          "You know that the rain had stopped before noon. {}"};
}

// A spectrum that falls over four magnitudes, and a little that is not diagonal.
inline std::shared_ptr<const model::SecondMoment> falling_moment(std::int64_t width, std::int64_t layer) {
  const at::Tensor ramp = at::arange(width, at::kDouble).div(static_cast<double>(width)).sin();
  return std::make_shared<model::SecondMoment>(
      at::diag(at::logspace(-3, 1, width, 10, at::kDouble)) + 1e-4 * at::outer(ramp, ramp), 1, layer);
}

inline std::int64_t number_from_environment(const char* name, std::int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

}  // namespace palimpsest::benchmarks
