// The table of fact file formats. A new format is one file under importers/ and one entry in fact_importer.cpp.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/fact.hpp"
#include "data/json_rows.hpp"

namespace palimpsest::data {

struct ImporterOption {
  std::string_view name;
  std::vector<std::string_view> choices;
  std::string_view why;  // one sentence for the error when it is missing; every option of an importer is required
};

struct FactImporter {
  std::string_view name;
  std::string_view summary;
  // Top-level fields that every row of this format, and of no other, has together.
  std::vector<std::string_view> signature;
  std::vector<ImporterOption> options;
  // One row to one fact. What is wrong goes to the reader's errors; `warnings` take `...` sentences without place.
  Fact (*read)(const RowReader& row, const std::map<std::string, std::string>& options,
               std::vector<std::string>& warnings);
};

std::span<const FactImporter> fact_importers();

// Throws Error(kInvalidArgument) with "did you mean" and the list.
const FactImporter& find_fact_importer(std::string_view name);

// One maker per file of importers/.
FactImporter palimpsest_importer();
FactImporter retention_importer();
FactImporter counterfact_importer();
FactImporter zsre_importer();

}  // namespace palimpsest::data
