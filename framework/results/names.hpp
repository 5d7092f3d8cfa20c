// What may stand in a results file as a path, a name or a text: checked before HDF5 sees it, so that every reader (and
// pandas' attribute access) can say it back. All throw Error(kInvalidArgument). Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace palimpsest::results {

// The dimension scale of every table.
inline constexpr std::string_view kRow = "row";

// "/" or "/part/part": parts of [A-Za-z0-9_.=+,-] (what a cell's name is made of), not "." or "..", at most kMaxDepth
// of them.
inline constexpr std::size_t kMaxDepth = 16;
void check_path(std::string_view path);
// "/a/b" -> {"a", "b"}; "/" -> {}.
std::vector<std::string> parts_of(std::string_view path);
// "/a/b" -> "/a"; "/a" -> "/".
std::string parent_of(std::string_view path);
// "/" + "a" -> "/a".
std::string join(std::string_view path, std::string_view name);

// [A-Za-z_][A-Za-z0-9_]*; `where` opens the message.
void check_identifier(std::string_view name, std::string_view where);
// UTF-8 without NUL; `where` opens the message, which gives the byte offset.
void check_text(std::string_view text, std::string_view where);
// An identifier that is not one of the attributes that HDF5's dimension scales or the readers' conventions use.
bool is_reserved_attribute(std::string_view name);

}  // namespace palimpsest::results
