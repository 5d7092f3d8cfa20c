// CSV after RFC 4180, read record by record.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/row_errors.hpp"

namespace palimpsest::data {

// Calls record(fields, line) for every record that is not an empty line; the header is the first. `line` is where the
// record starts, from 1. A quote that is not closed, text behind a closing quote and a quote inside an unquoted field
// go to `errors`.
void for_each_csv_record(std::string_view text, RowErrors& errors,
                         const std::function<void(std::vector<std::string>& fields, std::int64_t line)>& record);

}  // namespace palimpsest::data
