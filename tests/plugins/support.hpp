// First-party plugins by name, and their rows by column name.
#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "conformance/world.hpp"
#include "plugin/instance.hpp"
#include "support/parameters.hpp"

namespace palimpsest::plugin_tests {

inline plugin::Registry& registry() {
  static plugin::Registry made({PALIMPSEST_TEST_PLUGINS},
                               {PALIMPSEST_TEST_TORCH_TAG, PALIMPSEST_TEST_TORCH_VERSION, {}, {}});
  return made;
}
inline plugin::Plugin find(const char* kind, const char* id) { return registry().find(kind, id); }

// The values of one row; BOOL and INT64 as numbers, missing as NaN.
using Values = std::map<std::string, double>;
inline std::vector<Values> by_name(const std::vector<plugin::Column>& columns, const std::vector<plugin::Row>& rows) {
  std::vector<Values> all;
  for (const auto& row : rows) {
    Values& values = all.emplace_back();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto& cell = row.values.at(i);
      values[columns[i].name] = cell.missing                             ? std::numeric_limits<double>::quiet_NaN()
                                : columns[i].dtype == PALIMPSEST_FLOAT64 ? cell.number
                                                                         : static_cast<double>(cell.integer);
    }
  }
  return all;
}

}  // namespace palimpsest::plugin_tests
