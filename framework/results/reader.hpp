// Reads results files that Writer wrote: tables, attributes and arrays, by absolute path.
//
// Only what lies in the file itself is read: soft and external links, external storage and virtual datasets are
// refused. Functions throw Error: kNotFound (no such file, path), kInvalidArgument (not a results file), kUnsupported
// (another schema version, a type or link that a results file has not), kCorrupt (truncated or damaged), each naming
// the file and the path. One thread of a process at a time (HDF5's rule).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "results/table.hpp"
#include "results/writer.hpp"

namespace palimpsest::results {

struct Array {
  std::vector<std::int64_t> shape;                                                          // empty: a scalar
  std::variant<std::vector<float>, std::vector<double>, std::vector<std::int64_t>> values;  // row-major
  bool operator==(const Array&) const = default;
};

enum class Kind { kGroup, kTable, kArray };

class Reader {
 public:
  // Opens the file and checks its schema version.
  explicit Reader(const std::filesystem::path& path);
  ~Reader();
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;

  const std::filesystem::path& path() const;
  bool has(std::string_view path) const;
  Kind kind(std::string_view path) const;
  // Names in the group, in the order in which they were written.
  std::vector<std::string> children(std::string_view group) const;
  // The paths of all tables below `group`, in the order in which they were written.
  std::vector<std::string> tables(std::string_view group = "/") const;

  Table table(std::string_view path) const;
  Array array(std::string_view path) const;
  // Of a group, table, column or array; sorted by name; without those of the dimension scales.
  std::vector<std::pair<std::string, Attribute>> attributes(std::string_view path) const;
  // Throws kNotFound when there is no such attribute, kInvalidArgument when it has another type.
  template <typename T>
  T attribute(std::string_view path, std::string_view name) const;

 private:
  [[noreturn]] void fail_attribute(std::string_view path, std::string_view name, bool exists) const;

  struct State;
  std::unique_ptr<State> state_;
};

template <typename T>
T Reader::attribute(std::string_view path, std::string_view name) const {
  for (auto& [key, value] : attributes(path)) {
    if (key != name) continue;
    if (auto* found = std::get_if<T>(&value)) return std::move(*found);
    fail_attribute(path, name, true);
  }
  fail_attribute(path, name, false);
}

}  // namespace palimpsest::results
