// Rows of /contrasts, found by what they compare: what the tests of the contrasts share.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/contrasts.hpp"
#include "analysis/sample_file.hpp"
#include "support/scratch.hpp"

namespace palimpsest::analysis {

inline const SummaryOptions kQuick{1, 200, 400, 4000};

class Contrasts : public Scratch {
 protected:
  results::Table of(const SampleFile& file) {
    const auto measurements = file.read(folder_);
    return contrasts(measurements, quality_gate(measurements), kQuick);
  }
};

// A row of /contrasts.
struct Found {
  const results::Table* table;
  std::size_t row;
  double real(std::string_view column) const { return table->values<double>(column)[row]; }
  std::int64_t whole(std::string_view column) const { return table->values<std::int64_t>(column)[row]; }
  std::string text(std::string_view column) const { return table->values<std::string>(column)[row]; }
  bool truth(std::string_view column) const { return bool(table->values<results::Bool>(column)[row]); }
};

// The contrast that has these; nothing where there is none.
inline std::optional<Found> search(const results::Table& table, const std::string& a, const std::string& b,
                                   const std::string& role_a, const std::string& measure,
                                   const std::string& compared_at = "last step") {
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const Found found{&table, row};
    if (found.text("configuration_a") == a && found.text("configuration_b") == b && found.text("role_a") == role_a &&
        found.text("measure") == measure && found.text("compared_at") == compared_at) {
      return found;
    }
  }
  return std::nullopt;
}

inline Found find(const results::Table& table, const std::string& a, const std::string& b, const std::string& role_a,
                  const std::string& measure, const std::string& compared_at = "last step") {
  if (const auto found = search(table, a, b, role_a, measure, compared_at)) return *found;
  ADD_FAILURE() << "no contrast of " << a << " and " << b << ", " << role_a << ", " << measure;
  return {&table, 0};
}

// A cell from base to the end of its fine-tuning, after 10 steps.
inline void add(SampleFile& file, const SampleCell& cell, const std::vector<double>& edited,
                const std::vector<double>& last, const std::vector<double>& intrinsic) {
  file.cell(cell);
  const std::vector<double> ones(intrinsic.size(), 1.0);
  file.answers({cell.name, 0, "base", 0, cell.replicate}, "edited", std::vector<double>(edited.size(), 0.0));
  file.answers({cell.name, 1, "edited", 0, cell.replicate}, "edited", edited);
  file.answers({cell.name, 2, "finetuned", 10, cell.replicate}, "edited", last);
  file.answers({cell.name, 0, "base", 0, cell.replicate}, "intrinsic", ones);
  file.answers({cell.name, 1, "edited", 0, cell.replicate}, "intrinsic", ones);
  file.answers({cell.name, 2, "finetuned", 10, cell.replicate}, "intrinsic", intrinsic);
}

}  // namespace palimpsest::analysis
