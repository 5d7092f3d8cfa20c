// A results table in memory: named, typed columns of equal length, each with its unit and definition.
//
// What a table is in a file: docs/results-format.md and writer.hpp. Plain values, copied and compared as such; not
// synchronised.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace palimpsest::results {

// A truth value as it is stored: one byte, 0 or 1. (std::vector<bool> has no bytes to hand to HDF5.)
struct Bool {
  std::int8_t value = 0;
  Bool() = default;
  template <std::same_as<bool> B>
  Bool(B truth) : value(truth ? 1 : 0) {}
  explicit operator bool() const { return value != 0; }
  bool operator==(const Bool&) const = default;
};

// One cell of a table; converts from integers, floating point, bool and texts, each to its own column type.
class Value {
 public:
  template <typename T>
    requires(std::integral<T> && !std::same_as<T, bool>)
  Value(T number) : value_(static_cast<std::int64_t>(number)) {}
  template <std::floating_point T>
  Value(T number) : value_(static_cast<double>(number)) {}
  template <std::same_as<bool> T>
  Value(T truth) : value_(Bool(truth)) {}
  Value(Bool truth) : value_(truth) {}
  Value(std::string text) : value_(std::move(text)) {}
  Value(std::string_view text) : value_(std::string(text)) {}
  Value(const char* text) : value_(std::string(text)) {}

  const std::variant<std::int64_t, double, std::string, Bool>& get() const { return value_; }

 private:
  std::variant<std::int64_t, double, std::string, Bool> value_;
};

using Values =
    std::variant<std::vector<std::int64_t>, std::vector<double>, std::vector<std::string>, std::vector<Bool>>;

struct Column {
  std::string name;        // [A-Za-z_][A-Za-z0-9_]*, not "row"
  std::string unit;        // "" where there is none
  std::string definition;  // one sentence, never empty
  Values values;           // a missing number is NaN; texts are UTF-8 without NUL

  std::size_t size() const;
  // "int64", "float64", "string" or "bool"
  std::string_view type_name() const;
  // NaN equals NaN.
  bool operator==(const Column& other) const;
};

// Without values yet.
Column text_column(std::string name, std::string definition);
Column integer_column(std::string name, std::string unit, std::string definition);
Column number_column(std::string name, std::string unit, std::string definition);
Column truth_column(std::string name, std::string definition);

struct Table {
  std::string name;        // its absolute path in the file: "/summary", "/metrics/retention"
  std::string definition;  // what one row is; "" if there is nothing to say
  std::vector<Column> columns;

  // 0 without columns.
  std::size_t rows() const { return columns.empty() ? 0 : columns.front().size(); }
  // nullptr when there is no such column.
  const Column* find(std::string_view column) const;
  // Throws Error(kNotFound), which names the columns there are.
  const Column& at(std::string_view column) const;
  // The values of a column whose type is T (one of the four of Values). Throws Error: kNotFound, kInvalidArgument.
  template <typename T>
  const std::vector<T>& values(std::string_view column) const;

  // One value per column, in order, of the column's own type. Throws Error(kInvalidArgument) and leaves the table as it
  // was.
  void append_row(const std::vector<Value>& row);
  // The rows of `other`, whose columns have the same names, types, units and definitions in the same order. Throws
  // Error(kInvalidArgument), which names the first difference.
  void append(const Table& other);
  // Throws Error(kInvalidArgument) for what could not be written: bad names, names used twice, unequal lengths, texts
  // that are not UTF-8 or hold NUL (with table, column and row), a column without definition.
  void check() const;

  bool operator==(const Table& other) const = default;

 private:
  [[noreturn]] void fail_type(const Column& column) const;
};

template <typename T>
const std::vector<T>& Table::values(std::string_view column) const {
  const Column& found = at(column);
  const auto* values = std::get_if<std::vector<T>>(&found.values);
  if (values == nullptr) fail_type(found);
  return *values;
}

}  // namespace palimpsest::results
