// The neutral value tree of a configuration: what TOML can say and this program uses, each value with the place that
// set it.
//
// A Table keeps its keys in the order of the file. Values are plain data: copied freely, owned by whoever holds them,
// and safe to read from many threads. No schema is known here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace palimpsest::config {

// Where text came from: a file, the command line, or a default.
struct Source {
  std::string name;              // as messages show it, e.g. "configs/quickstart.toml" or "--set"
  std::filesystem::path folder;  // relative paths set in this source start here
  int order = 0;  // messages are sorted by it: the file that was asked for, then the files it extends, then --set
};

// A place in a source. Lines and columns count from 1, columns in code points; line 0 means the source as a whole.
struct Position {
  std::shared_ptr<const Source> source;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  // "file:line:column"; the source's name alone when there is no line; "default" without a source.
  std::string text() const;
};

// True when `a` comes before `b`: by source order, line, column.
bool before(const Position& a, const Position& b);

struct Value;
struct Entry;
using Array = std::vector<Value>;

// Keys to values; no key twice.
struct Table {
  std::vector<Entry> entries;

  const Entry* find(std::string_view key) const;
  Entry* find(std::string_view key);
  // Sets or replaces `key`; a replaced key keeps its place in the order and takes the new position.
  Entry& set(std::string_view key, Value value, Position key_position = {});
  bool erase(std::string_view key);
};

struct Value {
  std::variant<bool, std::int64_t, double, std::string, Array, Table> data;
  Position position;

  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(data);
  }
  // The alternative T; std::bad_variant_access if it holds another.
  template <typename T>
  const T& as() const {
    return std::get<T>(data);
  }
  template <typename T>
  T& as() {
    return std::get<T>(data);
  }
};

struct Entry {
  std::string key;
  Position key_position;
  Value value;
};

// Equal in type and content; positions and the order of keys do not count.
bool same(const Value& a, const Value& b);

// For messages: `the string "x"`, `the integer 5`, `the number 0.5`, `the boolean true`, `a list`, `a table`.
std::string describe(const Value& value);

// The value alone, on one line, as TOML would read it back: floats shortest round-trip, keys sorted.
std::string inline_toml(const Value& value);

// A whole document: keys sorted by bytes, plain values before tables, floats shortest round-trip, every table with a
// header. Equal trees give equal text and the text reads back as an equal tree, so it can be hashed and stored.
std::string canonical_toml(const Table& table);

// A dotted key as TOML writes it, e.g. `training.learning_rate` or `metric."odd name"`, cut into its parts. Throws
// Error(kInvalidArgument), without position, for an empty or malformed key or more than 64 parts.
std::vector<std::string> split_key(std::string_view dotted);
// The reverse; parts that are not bare keys are quoted.
std::string join_key(const std::vector<std::string>& parts);

}  // namespace palimpsest::config
