// A table that the results tests share.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "results/table.hpp"

namespace palimpsest::results {

// Every column type, with columns whose order is not the alphabet's, and no rows.
inline Table empty_table(std::string name) {
  return {std::move(name),
          "one fact at one measuring point",
          {{"step", "optimiser step", "step of fine-tuning", std::vector<std::int64_t>()},
           {"logp", "nat", "sum of the target's log-probabilities", std::vector<double>()},
           {"fact", "", "id of the fact", std::vector<std::string>()},
           {"all_top1", "", "every target token is the most probable one", std::vector<Bool>()}}};
}

inline Table sample_table(std::string name, int rows = 4) {
  Table table = empty_table(std::move(name));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string facts[] = {"plain", "Größe – 東京 🗼", "", "tab\tand \"quotes\"\nand a line"};
  for (int row = 0; row < rows; ++row) {
    table.append_row({row * 1'000'000'000'000, row % 4 == 2 ? nan : -0.1 * row, facts[row % 4], row % 2 == 1});
  }
  return table;
}

}  // namespace palimpsest::results
