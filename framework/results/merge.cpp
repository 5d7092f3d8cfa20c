#include "results/merge.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.hpp"
#include "results/names.hpp"

namespace palimpsest::results {
namespace {

// The attributes that Writer::table and Writer::array have not written already.
void copy_attributes(const Reader& reader, std::string_view path, Writer& writer, std::string_view new_path,
                     std::span<const std::string_view> written) {
  for (const auto& [name, value] : reader.attributes(path)) {
    if (std::find(written.begin(), written.end(), name) == written.end()) writer.attribute(new_path, name, value);
  }
}

}  // namespace

Table merge_tables(std::span<const std::filesystem::path> files, std::string_view table_path) {
  std::optional<Table> merged;
  for (const auto& file : files) {
    const Reader reader(file);
    if (!reader.has(table_path)) continue;
    Table table = reader.table(table_path);
    if (!merged) {
      merged = std::move(table);
      continue;
    }
    try {
      merged->append(table);
    } catch (const Error& error) {
      rethrow_with_context(error, file.string());
    }
  }
  if (!merged) fail(ErrorCode::kNotFound, "none of the ", files.size(), " files has a table ", table_path);
  return std::move(*merged);
}

void copy_group(const Reader& reader, std::string_view path, Writer& writer, std::string_view new_path) {
  constexpr std::array<std::string_view, 3> kColumnAttributes{"dtype", "unit", "definition"};
  constexpr std::array<std::string_view, 1> kTableAttributes{"definition"};
  switch (reader.kind(path)) {
    case Kind::kTable: {
      Table table = reader.table(path);
      table.name = std::string(new_path);
      writer.table(table);
      copy_attributes(reader, path, writer, new_path, kTableAttributes);
      for (const Column& column : table.columns) {
        copy_attributes(reader, join(path, column.name), writer, join(new_path, column.name), kColumnAttributes);
      }
      return;
    }
    case Kind::kArray: {
      const Array array = reader.array(path);
      std::visit([&](const auto& values) { writer.array(new_path, array.shape, std::span(values)); }, array.values);
      copy_attributes(reader, path, writer, new_path, {});
      return;
    }
    case Kind::kGroup:
      writer.group(new_path);
      if (path != "/") copy_attributes(reader, path, writer, new_path, {});
      for (const std::string& name : reader.children(path)) {
        copy_group(reader, join(path, name), writer, join(new_path, name));
      }
      return;
  }
}

}  // namespace palimpsest::results
