// What stages leave besides weights: rows of metrics, of training, of edits, as tables of one HDF5 file in the store.
//
// Tables here lack the columns `cell` and `replicate`, which the cell's file adds: a shared stage does not know its
// cells.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "config/sweep.hpp"
#include "plugin/instance.hpp"
#include "results/table.hpp"
#include "results/writer.hpp"

namespace palimpsest::experiment {

// Tables by name, with the declarations (aggregate, baseline, gate) of columns that metrics declared.
class StageRecord {
 public:
  // Rows of a plugin's columns below `path`, with edit, ordinal, stage, step, fact and role before them. `facts`: what
  // the rows' indices mean.
  void add_rows(const std::string& path, const std::string& edit, const plugin::MeasuringPoint& point,
                const std::vector<plugin::Column>& columns, const std::vector<plugin::Row>& rows,
                const std::vector<const palimpsest_fact*>& facts);
  // The table of that name, made with these columns when it is not there yet.
  results::Table& table(const std::string& name, const std::string& definition,
                        const std::vector<results::Column>& columns);

  void save(const std::filesystem::path& folder) const;
  static StageRecord load(const std::filesystem::path& folder);
  // Adds all rows of another, in its order.
  void append(const StageRecord& other);
  // Brings these tables to the front, in this order; names that it does not have are passed over.
  void put_first(const std::vector<std::string>& names);

  const std::vector<results::Table>& tables() const { return tables_; }
  // Writes the tables, `cell` and `replicate` first, and the declarations.
  void write(results::Writer& writer, const std::string& cell, std::int64_t replicate) const;

 private:
  struct Declaration {
    std::string aggregate, baseline, gate;
    bool operator==(const Declaration&) const = default;
  };
  results::Table* find(const std::string& name);
  // The attributes of a table's declared columns, which the writer has already.
  void declare(results::Writer& writer, const std::string& table) const;
  std::vector<results::Table> tables_;
  std::map<std::pair<std::string, std::string>, Declaration> declared_;  // by table and column
};

using results::integer_column;
using results::number_column;
using results::text_column;
using results::truth_column;
// Columns of what belongs to one stage of one model: `edit` and `ordinal`, then these.
std::vector<results::Column> at_stage(std::vector<results::Column> columns);

}  // namespace palimpsest::experiment
