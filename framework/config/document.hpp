// TOML files -> one merged value tree with positions: limits, syntax, `extends`, `--set`.
//
// What is checked here is the text; what the keys mean is schema.hpp's. Every failure is Error with `file:line:column:
// ...`. Functions are thread-safe; a Document is plain data.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/value.hpp"

namespace palimpsest::config {

inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;
inline constexpr int kMaxKeyParts = 64;
inline constexpr int kMaxNesting = 64;
inline constexpr int kMaxExtendedFiles = 64;

// One TOML text -> its tree. Refused before the parser sees them, because it recurses once per level: more than
// kMaxFileBytes bytes, a key of more than kMaxKeyParts dotted parts, more than kMaxNesting levels of lists and tables.
// Also refused: invalid UTF-8, dates and times (no key of this program wants one), syntax errors. Throws
// Error(kInvalidArgument).
Table parse_toml(std::string_view text, const std::shared_ptr<const Source>& source);

// `overlay` over `base`: tables merge key by key, everything else (lists included) replaces. A table of `overlay` whose
// `id` differs from that of the same table in `base` replaces it whole, so that no parameter of one plugin reaches
// another.
void merge(Table& base, const Table& overlay);

struct Document {
  Table root;                                // merged; `extends` removed
  std::filesystem::path file;                // the file that was asked for
  std::vector<std::filesystem::path> files;  // every file read, in reading order, each once
  std::shared_ptr<const Source> source;      // of `file`
};

// One `--set key=value`: the value read as TOML, or as a plain string where it is none (`editor.id=rome`). Text that
// starts like a TOML list, table or quoted string must be one.
struct Setting {
  std::vector<std::string> key;
  Value value;
};
// Throws Error(kInvalidArgument): no `=`, a malformed key, a value that starts like TOML and is not.
Setting parse_setting(std::string_view text, const std::filesystem::path& working_folder);

// Puts `value` at `key` in `table`, creating tables on the way; a plain value on the way is replaced by a table. The
// key and the tables made for it stand at `key_position`.
void assign(Table& table, const std::vector<std::string>& key, const Value& value, const Position& key_position);

// Reads `file`, the files it extends (before it; of several, later wins), and lays the settings over them. All settings
// count as one overlay, so their order does not matter for the rule of `id`. Throws Error: kNotFound, kIo,
// kInvalidArgument (text, a cycle of `extends`, too many files, a malformed setting).
Document load_document(const std::filesystem::path& file, const std::vector<std::string>& settings = {});

}  // namespace palimpsest::config
