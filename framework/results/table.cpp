#include "results/table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <type_traits>

#include "base/error.hpp"
#include "base/text.hpp"
#include "results/names.hpp"

namespace palimpsest::results {
namespace {

constexpr std::array<std::string_view, 4> kTypeNames{"int64", "float64", "string", "bool"};

std::vector<std::string> names_of(const Table& table) {
  std::vector<std::string> names;
  for (const Column& column : table.columns) names.push_back(column.name);
  return names;
}

void check_texts(const Table& table, const Column& column) {
  const auto* texts = std::get_if<std::vector<std::string>>(&column.values);
  if (texts == nullptr) return;
  for (std::size_t row = 0; row < texts->size(); ++row) {
    check_text((*texts)[row], cat("table ", table.name, ", column ", column.name, ", row ", row));
  }
}

}  // namespace

Column text_column(std::string name, std::string definition) {
  return {std::move(name), "", std::move(definition), std::vector<std::string>()};
}
Column integer_column(std::string name, std::string unit, std::string definition) {
  return {std::move(name), std::move(unit), std::move(definition), std::vector<std::int64_t>()};
}
Column number_column(std::string name, std::string unit, std::string definition) {
  return {std::move(name), std::move(unit), std::move(definition), std::vector<double>()};
}
Column truth_column(std::string name, std::string definition) {
  return {std::move(name), "1", std::move(definition), std::vector<Bool>()};
}

std::size_t Column::size() const {
  return std::visit([](const auto& of) { return of.size(); }, values);
}

std::string_view Column::type_name() const { return kTypeNames[values.index()]; }

bool Column::operator==(const Column& other) const {
  if (name != other.name || unit != other.unit || definition != other.definition ||
      values.index() != other.values.index()) {
    return false;
  }
  const auto* mine = std::get_if<std::vector<double>>(&values);
  if (mine == nullptr) return values == other.values;
  const auto& theirs = std::get<std::vector<double>>(other.values);
  return std::equal(mine->begin(), mine->end(), theirs.begin(), theirs.end(),
                    [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); });
}

const Column* Table::find(std::string_view column) const {
  for (const Column& candidate : columns) {
    if (candidate.name == column) return &candidate;
  }
  return nullptr;
}

const Column& Table::at(std::string_view column) const {
  if (const Column* found = find(column)) return *found;
  const auto names = names_of(*this);
  fail(ErrorCode::kNotFound, "table ", name, " has no column \"", column, "\"", did_you_mean(column, names),
       "; it has ", names.empty() ? "none" : list_text(names));
}

void Table::fail_type(const Column& column) const {
  fail(ErrorCode::kInvalidArgument, "column ", column.name, " of table ", name, " holds ", column.type_name(),
       ", another type was asked for");
}

void Table::append_row(const std::vector<Value>& row) {
  if (row.size() != columns.size()) {
    fail(ErrorCode::kInvalidArgument, "a row of ", row.size(), " values was given to table ", name, ", which has ",
         columns.size(), " columns");
  }
  for (std::size_t i = 0; i < row.size(); ++i) {
    // Values and Value list their types in the same order.
    if (row[i].get().index() != columns[i].values.index()) {
      fail(ErrorCode::kInvalidArgument, "table ", name, ": column ", columns[i].name, " takes ", columns[i].type_name(),
           "; given ", kTypeNames[row[i].get().index()]);
    }
  }
  for (std::size_t i = 0; i < row.size(); ++i) {
    std::visit(
        [&](const auto& value) {
          std::get<std::vector<std::decay_t<decltype(value)>>>(columns[i].values).push_back(value);
        },
        row[i].get());
  }
}

void Table::append(const Table& other) {
  const auto refuse = [&](const auto&... what) {
    fail(ErrorCode::kInvalidArgument, "the rows of table ", other.name, " do not fit those of ", name, ": ", what...);
  };
  if (columns.size() != other.columns.size()) {
    refuse("it has ", other.columns.size(), " columns; expected ", columns.size());
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Column& mine = columns[i];
    const Column& theirs = other.columns[i];
    if (mine.name != theirs.name) refuse("column ", i, " is \"", theirs.name, "\"; expected \"", mine.name, "\"");
    if (mine.values.index() != theirs.values.index()) {
      refuse("column ", mine.name, " holds ", theirs.type_name(), "; expected ", mine.type_name());
    }
    if (mine.unit != theirs.unit) {
      refuse("column ", mine.name, " has unit \"", theirs.unit, "\"; expected \"", mine.unit, "\"");
    }
    if (mine.definition != theirs.definition) {
      refuse("column ", mine.name, " is defined as \"", theirs.definition, "\"; expected \"", mine.definition, "\"");
    }
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::visit(
        [&](auto& mine) {
          const auto& theirs = std::get<std::decay_t<decltype(mine)>>(other.columns[i].values);
          // By index: `other` may be this table.
          const std::size_t count = theirs.size();
          mine.reserve(mine.size() + count);
          for (std::size_t row = 0; row < count; ++row) mine.push_back(theirs[row]);
        },
        columns[i].values);
  }
}

void Table::check() const {
  check_path(name);
  if (name == "/")
    fail(ErrorCode::kInvalidArgument, "a table cannot be the root group; give it a name such as /summary");
  check_text(definition, cat("the definition of table ", name));
  if (columns.empty()) fail(ErrorCode::kInvalidArgument, "table ", name, " has no columns");
  std::set<std::string_view> seen;
  for (const Column& column : columns) {
    check_identifier(column.name, cat("a column of table ", name));
    if (column.name == kRow) {
      fail(ErrorCode::kInvalidArgument, "table ", name,
           " has a column \"row\", which is the name of every table's row scale");
    }
    if (!seen.insert(column.name).second) {
      fail(ErrorCode::kInvalidArgument, "table ", name, " has two columns named \"", column.name, "\"");
    }
    if (column.definition.empty()) {
      fail(ErrorCode::kInvalidArgument, "column ", column.name, " of table ", name, " has no definition");
    }
    check_text(column.definition, cat("the definition of column ", column.name, " of table ", name));
    check_text(column.unit, cat("the unit of column ", column.name, " of table ", name));
    if (column.size() != rows()) {
      fail(ErrorCode::kInvalidArgument, "table ", name, ": column ", column.name, " has ", column.size(),
           " rows; column ", columns.front().name, " has ", rows());
    }
    check_texts(*this, column);
  }
}

}  // namespace palimpsest::results
