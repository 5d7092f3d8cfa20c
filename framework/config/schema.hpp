// What keys may hold, as data, and the one check that reads it: for the host's own tables and for every plugin's
// parameters.
//
// The check never stops at the first problem: it adds to a list, replaces what is wrong by its default and goes on. It
// knows no plugin; the caller's PluginCatalog does. Specs are plain data; functions are thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/value.hpp"

namespace palimpsest::config {

enum class Type { boolean, integer, number, string, path, integer_list, number_list, string_list, any };

// "integer", "list of numbers", ...: as docs and messages show it.
std::string_view name_of(Type type);

struct KeySpec {
  std::string name;
  Type type = Type::any;
  std::optional<Value> default_value;  // none: absent when nobody sets it
  std::optional<double> min, max;      // of the value or, in lists, of each element; inclusive
  std::vector<std::string> choices;    // of a string or of each string in a list; empty: any
  bool required = false;
  std::string unit;             // "" for pure numbers, counts and words
  std::string doc;              // one or two sentences
  bool above_min = false;       // `min` itself is not allowed
  bool below_max = false;       // `max` itself is not allowed
  bool per_experiment = false;  // the same for all cells: refused as a swept key
  std::string below_home;       // of a path: also looked for in this folder of home
};

struct TableSpec {
  std::string name;
  std::string doc;
  std::vector<KeySpec> keys;
  bool repeated = false;  // [[name]]
  bool plugin = false;    // `id` names a plugin of kind `name`; the other keys are its parameters
};

struct PluginSpec {
  std::string id;
  std::string version;
  std::vector<KeySpec> parameters;  // without `id`
};

// What a model is known by, of its config.json.
struct ModelShape {
  std::string type;  // model_type
  std::int64_t layers = 0, hidden = 0, vocabulary = 0;
};

// What a configuration can choose from. `kind` is the table's name: "editor", "augmenter", "freeze_policy", "task",
// "metric".
class PluginCatalog {
 public:
  virtual ~PluginCatalog() = default;
  // Null when there is none. The spec lives as long as the catalog.
  virtual const PluginSpec* find(std::string_view kind, std::string_view id) const = 0;
  virtual std::vector<std::string> available(std::string_view kind) const = 0;
  // Of the model in `folder`, for layers that are given relative to it (layers.hpp). Throws Error where it cannot be
  // read.
  virtual ModelShape model_shape(const std::filesystem::path& folder) const = 0;
};

// Folders that relative paths are looked up in.
struct Locations {
  std::filesystem::path working;  // outputs start here
  std::filesystem::path root;     // of the source tree or the installation: second place for relative paths
  std::filesystem::path home;     // `${home}`, where prepared models and data are; third place
};
// From the process: current folder, `root`, and PALIMPSEST_HOME or `root`/.palimpsest.
Locations locations_of_process(const std::filesystem::path& root);

struct Problem {
  Position position;
  std::string key;      // dotted, e.g. "training.warmup" or "metric[1].id"
  std::string message;  // what was found, what is expected

  std::string text() const;  // "file:line:column: key: message"
};

// Sorts by position and key, drops repetitions.
void sort_problems(std::vector<Problem>& problems);
// One line each, at most 100 lines and a count of the rest. Empty for no problem.
std::string text_of(const std::vector<Problem>& problems);

// What a spec allows beyond its type: "from 1", "above 0 and up to 1", `"a", "b"`; "" when anything goes.
std::string allowed(const KeySpec& spec);
// "an integer from 1", "a number above 0 and at most 1", `one of "a", "b"`.
std::string expected(const KeySpec& spec);

// Where `given`, set at `position`, is: absolute as it is; `${home}/x` below home; else the first that exists of the
// folder of the file that set it, root, home and, unless it is empty, home's folder `below_home`. Empty when nothing
// exists; `tried` gets the places looked at, in order.
std::filesystem::path find_path(const std::string& given, const Position& position, const Locations& locations,
                                const std::string& below_home, std::vector<std::filesystem::path>* tried = nullptr);
// "a, b": places as messages name them.
std::string places_text(const std::vector<std::filesystem::path>& places);

// What a check carries along.
struct Check {
  const Locations& locations;
  bool files = true;  // paths must exist
  std::vector<Problem> problems;
  std::set<std::string> failed;                        // dotted keys that have a problem
  std::map<std::string, std::filesystem::path> found;  // dotted key of a path -> where it is, absolute

  void add(const Position& position, const std::string& key, const std::string& message);
};

// Checks `table`, which stands at `where` under the dotted name `prefix`, against `keys`. The result has every key that
// is set or has a default, in the order of `keys`, integers turned to numbers where a number is wanted; paths stay as
// given.
Table check_table(const Table& table, const Position& where, const std::string& prefix,
                  const std::vector<KeySpec>& keys, Check& check);

// The same for a plugin table: `id` against the catalog, the rest against that plugin's parameters; `id` comes first in
// the result. `default_id` "" makes `id` required. `*plugin` becomes null when there is no such plugin.
Table check_plugin_table(const Table& table, const Position& where, const std::string& prefix, const std::string& kind,
                         const std::string& default_id, const PluginCatalog& catalog, Check& check,
                         const PluginSpec** plugin);

}  // namespace palimpsest::config
