#include "experiment/stage_record.hpp"

#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "results/reader.hpp"

namespace palimpsest::experiment {
namespace {

constexpr const char* kFile = "measurements.h5";

std::string aggregate_name(palimpsest_aggregate aggregate) {
  return aggregate == PALIMPSEST_AGGREGATE_MEAN ? "mean" : aggregate == PALIMPSEST_AGGREGATE_RATE ? "rate" : "none";
}

std::string baseline_name(palimpsest_baseline baseline) {
  switch (baseline) {
    case PALIMPSEST_BASELINE_BASE: return "base";
    case PALIMPSEST_BASELINE_EDITED: return "edited";
    case PALIMPSEST_BASELINE_BOTH: return "both";
    default: return "none";
  }
}

std::string gate_name(palimpsest_gate gate) {
  switch (gate) {
    case PALIMPSEST_GATE_EFFICACY: return "efficacy";
    case PALIMPSEST_GATE_NEIGHBOURHOOD: return "neighbourhood";
    case PALIMPSEST_GATE_PERPLEXITY: return "perplexity";
    default: return "none";
  }
}

// Truths that may be missing have no value for it in HDF5: such columns are float64, with NaN. Integers are never
// missing.
results::Column column_of(const plugin::Column& declared) {
  results::Column column{declared.name, declared.unit, declared.doc, std::vector<double>()};
  if (declared.dtype == PALIMPSEST_TEXT) column.values = std::vector<std::string>();
  if (declared.dtype == PALIMPSEST_INT64) column.values = std::vector<std::int64_t>();
  return column;
}

// A model may write any character, and HDF5's texts end at a NUL: U+2400, the symbol for it, stands in its place.
std::string storable(std::string text) {
  for (std::size_t at = text.find('\0'); at != std::string::npos; at = text.find('\0', at)) {
    text.replace(at, 1, "\u2400");
  }
  return text;
}

results::Value value_of(const plugin::Column& declared, const plugin::CellValue& value) {
  switch (declared.dtype) {
    case PALIMPSEST_TEXT: return value.missing ? std::string() : storable(value.text);
    case PALIMPSEST_INT64: return value.integer;
    case PALIMPSEST_BOOL:
      return value.missing ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(value.integer);
    default: return value.missing ? std::numeric_limits<double>::quiet_NaN() : value.number;
  }
}

}  // namespace

std::vector<results::Column> at_stage(std::vector<results::Column> columns) {
  columns.insert(columns.begin(),
                 {text_column("edit", "id of the fact whose isolated edit the model has; empty in the other scopes"),
                  integer_column("ordinal", "1", "place of the stage in the cell's list; 0 is the base model")});
  return columns;
}

results::Table* StageRecord::find(const std::string& name) {
  for (auto& table : tables_) {
    if (table.name == name) return &table;
  }
  return nullptr;
}

results::Table& StageRecord::table(const std::string& name, const std::string& definition,
                                   const std::vector<results::Column>& columns) {
  if (results::Table* known = find(name)) return *known;
  return tables_.emplace_back(results::Table{name, definition, columns});
}

void StageRecord::add_rows(const std::string& path, const std::string& edit, const plugin::MeasuringPoint& point,
                           const std::vector<plugin::Column>& columns, const std::vector<plugin::Row>& rows,
                           const std::vector<const palimpsest_fact*>& facts) {
  std::vector<results::Column> all =
      at_stage({text_column("stage", "base, edited, step or finetuned"),
                integer_column("step", "optimiser step", "optimiser steps done; 0 outside fine-tuning"),
                text_column("fact", "id of the fact; empty for a row about no single fact"),
                text_column("role", "edited or intrinsic")});
  for (const auto& column : columns) all.push_back(column_of(column));
  results::Table& into = table(path, "one measurement of one fact at one measuring point", all);
  for (const auto& column : columns) {
    declared_[{path, column.name}] = {aggregate_name(column.aggregate), baseline_name(column.baseline),
                                      gate_name(column.gate)};
  }
  for (const auto& row : rows) {
    const palimpsest_fact* fact = row.fact < 0 ? nullptr : facts.at(static_cast<std::size_t>(row.fact));
    std::vector<results::Value> values = {edit,
                                          point.ordinal,
                                          point.stage,
                                          point.step,
                                          fact ? fact->fact->id : std::string(),
                                          fact ? fact->role : std::string()};
    for (std::size_t i = 0; i < columns.size(); ++i) values.push_back(value_of(columns[i], row.values[i]));
    into.append_row(values);
  }
}

void StageRecord::declare(results::Writer& writer, const std::string& table) const {
  for (const auto& [place, declaration] : declared_) {
    if (place.first != table) continue;
    const std::string column = place.first + "/" + place.second;
    writer.attribute(column, "aggregate", declaration.aggregate);
    writer.attribute(column, "baseline", declaration.baseline);
    writer.attribute(column, "gate", declaration.gate);
  }
}

void StageRecord::save(const std::filesystem::path& folder) const {
  results::Writer writer;
  for (const auto& table : tables_) {
    writer.table(table);
    declare(writer, table.name);
  }
  writer.commit(folder / kFile);
}

StageRecord StageRecord::load(const std::filesystem::path& folder) {
  StageRecord made;
  const results::Reader reader(folder / kFile);
  for (const auto& path : reader.tables()) {
    made.tables_.push_back(reader.table(path));
    for (const auto& column : made.tables_.back().columns) {
      Declaration declaration;
      for (const auto& [name, value] : reader.attributes(path + "/" + column.name)) {
        if (name == "aggregate") declaration.aggregate = std::get<std::string>(value);
        if (name == "baseline") declaration.baseline = std::get<std::string>(value);
        if (name == "gate") declaration.gate = std::get<std::string>(value);
      }
      if (!declaration.aggregate.empty()) made.declared_[{path, column.name}] = declaration;
    }
  }
  return made;
}

void StageRecord::append(const StageRecord& other) {
  for (const auto& table : other.tables_) {
    if (results::Table* known = find(table.name)) {
      known->append(table);
    } else {
      tables_.push_back(table);
    }
  }
  declared_.insert(other.declared_.begin(), other.declared_.end());
}

void StageRecord::put_first(const std::vector<std::string>& names) {
  std::stable_sort(tables_.begin(), tables_.end(), [&](const auto& a, const auto& b) {
    return std::find(names.begin(), names.end(), a.name) < std::find(names.begin(), names.end(), b.name);
  });
}

void StageRecord::write(results::Writer& writer, const std::string& cell, std::int64_t replicate) const {
  for (const auto& table : tables_) {
    results::Table whole{table.name, table.definition, {}};
    whole.columns.push_back({"cell", "", "name of the cell", std::vector<std::string>(table.rows(), cell)});
    whole.columns.push_back(
        {"replicate", "1", "number of the replicate", std::vector<std::int64_t>(table.rows(), replicate)});
    whole.columns.insert(whole.columns.end(), table.columns.begin(), table.columns.end());
    writer.table(whole);
    declare(writer, table.name);
  }
}

}  // namespace palimpsest::experiment
