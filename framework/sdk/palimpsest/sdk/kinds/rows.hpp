// Rows of a metric or of a task's score.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "palimpsest/kinds/metric.h"
#include "palimpsest/sdk/error.hpp"

namespace palimpsest::sdk {

// One value of a row; a missing one is `missing`.
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string>;
inline const Value missing{};

// Where rows of a metric or a score go.
class Rows {
 public:
  Rows(const palimpsest_host* host, const palimpsest_row_sink* sink) : host_(host), sink_(sink) {}
  // `fact`: index into the request's facts, -1 for none; `values` in the order of the columns.
  void row(std::int64_t fact, const std::vector<Value>& values) const {
    std::vector<palimpsest_cell_value> cells;
    for (const Value& value : values) {
      palimpsest_cell_value cell{std::numeric_limits<double>::quiet_NaN(), 0, {"", 0}, 0};
      if (const auto* flag = std::get_if<bool>(&value)) {
        cell.integer = *flag ? 1 : 0;
      } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        cell.integer = *integer;
      } else if (const auto* number = std::get_if<double>(&value)) {
        cell.number = *number;
      } else if (const auto* string = std::get_if<std::string>(&value)) {
        cell.text = text(*string);
      } else {
        cell.missing = 1;
      }
      cells.push_back(cell);
    }
    check(host_, sink_->row(sink_->context, fact, cells.data(), cells.size()));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_row_sink* sink_;
};

}  // namespace palimpsest::sdk
