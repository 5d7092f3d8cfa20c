// A folder, an error and a table that the results tests share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/files.hpp"
#include "results/table.hpp"

namespace palimpsest::results {

// A folder of the test's own, removed with it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> counter{0};
    path_ = std::filesystem::temp_directory_path() / cat("palimpsest_results_", ::getpid(), "_", counter++);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The error that `action` throws; fails the test when it throws none.
template <typename Action>
Error error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::kInternal, "no error was thrown");
}

// Every column type, with columns whose order is not the alphabet's, and no rows.
inline Table empty_table(std::string name) {
  return {std::move(name),
          "one fact at one measuring point",
          {{"step", "optimiser steps", "step of fine-tuning", std::vector<std::int64_t>()},
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
