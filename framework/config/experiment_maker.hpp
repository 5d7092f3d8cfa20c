// How an experiment is made of its document; for experiment.cpp and its two neighbours alone.
//
// experiment.cpp reads the host's own tables, experiment_plugins.cpp those of plugins, experiment_checks.cpp looks at
// what several keys say together. Every problem is collected in the Check; nothing is thrown.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/experiment.hpp"
#include "config/experiment_schema.hpp"
#include "config/layers.hpp"

namespace palimpsest::config {

// Makes one experiment: checks each table, then what several keys say together.
class Maker {
 public:
  Maker(const Table& root, const Document& document, const PluginCatalog& catalog, Check& check)
      : root_(root), document_(document), catalog_(catalog), check_(check), file_{document.source, 1, 1} {}

  Experiment make() {
    check_top_level();
    read_experiment();
    read_study();
    read_training();
    read_plugins();
    check_defaults();
    check_stages();
    check_facts();
    check_edit();
    check_training();
    return std::move(made_);
  }

 private:
  bool clean(std::initializer_list<const char*> keys) const {
    return std::none_of(keys.begin(), keys.end(), [&](const char* key) { return check_.failed.contains(key); });
  }

  // Where `table.key` was set, or else the table, or else the file.
  Position place(std::string_view table, std::string_view key) const {
    const Entry* found = root_.find(table);
    if (!found || !found->value.is<Table>()) return file_;
    const Entry* entry = found->value.as<Table>().find(key);
    return entry ? entry->value.position : found->value.position;
  }

  // A problem of keys that are fine one by one.
  template <typename... Parts>
  void add(std::string_view table, std::string_view key, const Parts&... parts) {
    check_.add(place(table, key), cat(table, ".", key), cat(parts...));
  }

  // experiment.cpp
  void check_top_level();
  // [name] checked, defaults filled; a missing table is an empty one.
  const Table& section(const std::string& name);
  void read_experiment();
  void read_study();
  void read_tuning();
  void read_training();

  // experiment_plugins.cpp
  // [defaults.KIND.ID] under the plugin table that chooses ID.
  Table with_defaults(const Table& table, const std::string& kind, const std::string& default_id);
  LayerContext layer_context(const std::string& kind) const;
  PluginChoice choose(const Table& table, const Position& where, const std::string& prefix, const std::string& kind,
                      const std::string& default_id, Table& resolved);
  PluginChoice plugin(const std::string& name, const std::string& default_id, bool needed);
  void read_plugins();
  // [defaults] of plugins that nothing chooses here: they may be chosen elsewhere, and are checked all the same.
  void check_defaults();

  // experiment_checks.cpp
  void check_stages();
  void check_facts();
  void check_edit();
  void check_training();
  template <typename T>
  void check_ascending(const char* name, const std::vector<T>& items);

  const Table& root_;
  const Document& document_;
  const PluginCatalog& catalog_;
  Check& check_;
  Position file_;
  std::set<std::pair<std::string, std::string>> defaults_used_;  // kind and id that a plugin table chooses
  Experiment made_;
};

}  // namespace palimpsest::config
