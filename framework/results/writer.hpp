// A results file, built in memory and written whole: HDF5 that old and new readers open without documentation.
//
// A table is a group; its columns are 1-D datasets that share the dimension scale `row`, each with the attributes
// `unit` and `definition`. Texts are variable-length UTF-8, truth values int8 with the attribute dtype = "bool". Arrays
// (weights, updates) lie in groups without tables. Objects keep the order in which they were written and carry no
// times, so equal calls give equal bytes. Memory: about three times the payload. One thread of a process at a time
// (HDF5's rule).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "results/table.hpp"

namespace palimpsest::results {

// The root attribute `palimpsest_schema`; raised when the layout of existing files changes meaning.
inline constexpr std::string_view kSchemaAttribute = "palimpsest_schema";
inline constexpr std::int64_t kSchemaVersion = 1;
// Larger updates are safetensors in the stage store.
inline constexpr std::size_t kMaxArrayBytes = std::size_t{64} << 20;

using Attribute = std::variant<std::string, std::int64_t, double, std::vector<std::string>>;

// Functions throw Error(kInvalidArgument) for what a results file cannot hold, naming it (names.hpp has the rules), and
// Error(kInternal) with HDF5's reasons where the library fails. After an error the file under construction is unusable.
class Writer {
 public:
  Writer();
  ~Writer();
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;

  // Makes the group and those above it; a group that exists is left as it is.
  void group(std::string_view path);
  // `path` is "/", a group, a table, a table's column or an array that exists. An attribute is written once.
  void attribute(std::string_view path, std::string_view name, const Attribute& value);
  // The table under its own name, which must be free.
  void table(const Table& table);
  // product(shape) values, row-major, as the dataset `path` in a group that holds no table; shape {} is a scalar.
  void array(std::string_view path, std::span<const std::int64_t> shape, std::span<const float> values);
  void array(std::string_view path, std::span<const std::int64_t> shape, std::span<const double> values);
  void array(std::string_view path, std::span<const std::int64_t> shape, std::span<const std::int64_t> values);

  // The file's bytes.
  std::vector<std::byte> image();
  // image(), whole under its name or not there at all (base/files.hpp). Throws Error(kIo).
  void commit(const std::filesystem::path& path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The version of the HDF5 library in use, e.g. "1.10.8".
std::string hdf5_version();

}  // namespace palimpsest::results
