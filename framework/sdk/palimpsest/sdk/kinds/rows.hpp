// Rows of a metric or of a task's score.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
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
  // `columns`: as the plugin declares them; they outlive the object.
  Rows(const palimpsest_host* host, const palimpsest_row_sink* sink, std::span<const palimpsest_column> columns)
      : host_(host), sink_(sink), columns_(columns) {}
  // `fact`: index into the request's facts, -1 for none; `values` in the order of the columns: doubles for FLOAT64,
  // texts for TEXT, whole numbers and truths for any of the others.
  void row(std::int64_t fact, const std::vector<Value>& values) const {
    if (values.size() != columns_.size()) {
      fail(PALIMPSEST_INVALID_ARGUMENT, "a row of ", values.size(), " values; ", columns_.size(),
           " columns were declared");
    }
    std::vector<palimpsest_cell_value> cells;
    for (std::size_t i = 0; i < values.size(); ++i) cells.push_back(cell_of(values[i], columns_[i]));
    check(host_, sink_->row(sink_->context, fact, cells.data(), cells.size()));
  }

 private:
  static palimpsest_cell_value cell_of(const Value& value, const palimpsest_column& column) {
    palimpsest_cell_value cell{std::numeric_limits<double>::quiet_NaN(), 0, {"", 0}, 0};
    const bool wants_text = column.dtype == PALIMPSEST_TEXT;
    if (std::holds_alternative<std::monostate>(value)) {
      cell.missing = 1;
    } else if (const auto* string = std::get_if<std::string>(&value); (string != nullptr) != wants_text) {
      fail(PALIMPSEST_INVALID_ARGUMENT, "column \"", column.name, "\" is ", wants_text ? "" : "not ",
           "TEXT and was given a ", string != nullptr ? "text" : "number");
    } else if (string != nullptr) {
      cell.text = text(*string);
    } else if (const auto* number = std::get_if<double>(&value)) {
      if (column.dtype != PALIMPSEST_FLOAT64) {
        fail(PALIMPSEST_INVALID_ARGUMENT, "column \"", column.name, "\" is not FLOAT64 and was given the double ",
             *number);
      }
      cell.number = *number;
    } else {
      const auto* flag = std::get_if<bool>(&value);
      cell.integer = flag != nullptr ? std::int64_t{*flag} : std::get<std::int64_t>(value);
      if (column.dtype == PALIMPSEST_FLOAT64) cell.number = static_cast<double>(cell.integer);
    }
    return cell;
  }

  const palimpsest_host* host_;
  const palimpsest_row_sink* sink_;
  std::span<const palimpsest_column> columns_;
};

}  // namespace palimpsest::sdk
