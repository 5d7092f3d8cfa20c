#include "plugin/kinds/rows.hpp"

#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "plugin/call.hpp"

namespace palimpsest::plugin {
namespace {

void check_gate(const palimpsest_column& c, const std::string& label) {
  if (c.gate < PALIMPSEST_GATE_NONE || c.gate > PALIMPSEST_GATE_PERPLEXITY) {
    fail(ErrorCode::kInvalidArgument, label, ": column \"", c.name, "\" has gate ", c.gate,
         "; expected NONE, EFFICACY, NEIGHBOURHOOD or PERPLEXITY");
  }
  if (c.gate == PALIMPSEST_GATE_NONE) return;
  if (c.dtype == PALIMPSEST_TEXT || std::string_view(c.unit) != "1") {
    fail(ErrorCode::kInvalidArgument, label, ": column \"", c.name, "\" is for the quality gate",
         c.dtype == PALIMPSEST_TEXT ? " and holds texts" : cat(" and has the unit \"", c.unit, "\""),
         "; expected numbers or truths of unit \"1\"");
  }
}

}  // namespace

std::vector<Column> copy_columns(const palimpsest_column* raw, size_t count, const std::string& label) {
  std::vector<Column> columns;
  std::set<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    const auto& c = raw[i];
    if (c.name == nullptr || c.unit == nullptr || c.doc == nullptr) {
      fail(ErrorCode::kInvalidArgument, label, ": column ", i, " lacks its name, unit or doc");
    }
    if (c.dtype != PALIMPSEST_FLOAT64 && c.dtype != PALIMPSEST_INT64 && c.dtype != PALIMPSEST_BOOL &&
        c.dtype != PALIMPSEST_TEXT) {
      fail(ErrorCode::kInvalidArgument, label, ": column \"", c.name, "\" has dtype ", c.dtype,
           "; expected FLOAT64, INT64, BOOL or TEXT");
    }
    if (!names.insert(c.name).second)
      fail(ErrorCode::kInvalidArgument, label, ": two columns are named \"", c.name, "\"");
    check_gate(c, label);
    columns.push_back({c.name, c.dtype, c.unit, c.doc, c.aggregate, c.baseline, c.gate});
  }
  return columns;
}

palimpsest_status collect_row(void* context, int64_t fact, const palimpsest_cell_value* values, size_t count) {
  return guarded([&] {
    auto& collector = *static_cast<RowCollector*>(context);
    if (count != collector.columns->size()) {
      fail(ErrorCode::kInvalidArgument, "a row of ", count, " values; ", collector.columns->size(),
           " columns were declared");
    }
    if (fact < -1 || fact >= collector.facts)
      fail(ErrorCode::kOutOfRange, "a row about fact ", fact, " of ", collector.facts);
    Row row{fact, {}};
    for (size_t i = 0; i < count; ++i) {
      const auto& column = (*collector.columns)[i];
      CellValue cell{values[i].number, values[i].integer, {}, values[i].missing != 0};
      if (column.dtype == PALIMPSEST_INT64 && cell.missing) {
        fail(ErrorCode::kInvalidArgument, "column \"", column.name, "\" of fact ", fact,
             " is missing, and an INT64 cannot be: declare the column FLOAT64");
      }
      if (column.dtype == PALIMPSEST_TEXT && !cell.missing) cell.text = view(values[i].text);
      if (column.dtype == PALIMPSEST_FLOAT64 && !cell.missing && std::isinf(cell.number)) {
        fail(ErrorCode::kNumeric, "column \"", column.name, "\" of fact ", fact, " is infinite");
      }
      row.values.push_back(std::move(cell));
    }
    collector.rows.push_back(std::move(row));
  });
}

}  // namespace palimpsest::plugin
