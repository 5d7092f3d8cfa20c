// The experiment's file, derived from the cells' files: plain copies, so that it can be built again at any time.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "results/reader.hpp"
#include "results/table.hpp"
#include "results/writer.hpp"

namespace palimpsest::results {

// The rows of the table of that path in every file that has it, in the order of `files`; nothing is added, so the
// tables carry their own `cell` column. Throws Error: kNotFound when no file has the table; what Reader and
// Table::append throw, with the file named.
Table merge_tables(std::span<const std::filesystem::path> files, std::string_view table_path);

// Everything at and below `path` (group, table or array), with the attributes, copied into `writer` under `new_path`.
// The attributes of "/" itself are not copied.
void copy_group(const Reader& reader, std::string_view path, Writer& writer, std::string_view new_path);

}  // namespace palimpsest::results
