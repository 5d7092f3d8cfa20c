// Declared columns and emitted rows, of a metric or of a task's score: checked and copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "plugin/instance.hpp"

namespace palimpsest::plugin {

// Throws kInvalidArgument, naming `label` and the column, for a declaration that breaks the contract.
std::vector<Column> copy_columns(const palimpsest_column* raw, std::size_t count, const std::string& label);

struct RowCollector {
  const std::vector<Column>* columns;
  std::int64_t facts;
  std::vector<Row> rows;
};

// palimpsest_row_sink::row; the context is a RowCollector.
palimpsest_status collect_row(void* context, std::int64_t fact, const palimpsest_cell_value* values, std::size_t count);

}  // namespace palimpsest::plugin
