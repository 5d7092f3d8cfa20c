// One point of a sweep or trial of a search -> its experiment, checked, and a cell for each replicate. Not thread-safe.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "config/sweep.hpp"

namespace palimpsest::config {

class CellMaker {
 public:
  // Everything is borrowed; cells and problems go to `out`.
  CellMaker(const Document& document, const PluginCatalog& catalog, const Locations& locations, bool check_files,
            Expansion& out)
      : document_(document), catalog_(catalog), locations_(locations), check_files_(check_files), out_(out) {}

  // The experiment of `base` with `overlay` over it; nothing when `out` has problems, new or earlier ones.
  std::optional<Experiment> make(const Table& base, const Table& overlay);
  // Adds a cell for each replicate of `cell`, named after `name`, unless an equal experiment was added before: then
  // nothing is added and the name of that one is returned.
  std::string add(Cell cell, std::string name);

 private:
  const Document& document_;
  const PluginCatalog& catalog_;
  const Locations& locations_;
  bool check_files_;
  Expansion& out_;
  std::set<std::string> known_problems_;
  std::map<std::string, std::string> contents_;  // digest of a point's text -> its name
  std::set<std::string> names_;                  // of cells
};

// A document with [tune] -> the cells of its trials (search.hpp), as expand_all().
Expansion expand_search(const Document& document, const PluginCatalog& catalog, const Locations& locations,
                        bool check_files);
// The text of a value in coordinates: words bare, tables by their id if that tells them apart, the rest as TOML.
std::string value_text(const Value& value, bool id_is_enough);

}  // namespace palimpsest::config
