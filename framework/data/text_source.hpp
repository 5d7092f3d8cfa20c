// A user's text file as rows of named text columns: .txt, JSON Lines (or one JSON array), CSV.
//
// read_text_source is whole or throws: every text returned is checked UTF-8 without zero bytes, every row has every
// column. A leading byte order mark is skipped; line ends may be LF or CRLF. A value type without state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace palimpsest::data {

enum class TextFormat {
  kText,   // .txt: a row is what stands between blank lines, its own line ends kept
  kJsonl,  // .jsonl, .json
  kCsv,    // .csv
};
// By the name's ending; nothing for another one.
std::optional<TextFormat> text_format(const std::filesystem::path& path);

struct TextSourceOptions {
  std::vector<std::string> columns;  // wanted columns, in this order; empty = .txt: text; CSV: all of the header;
                                     // JSONL: all of the first row
};

// Columns: .txt has one, named `text`. JSONL: a text is taken as it is, a number or boolean as its JSON text; null,
// lists and objects are refused. CSV is RFC 4180 with a header line: fields in double quotes may hold commas, line ends
// and doubled quotes; a row has as many fields as the header.
struct TextSource {
  std::string path;
  std::string sha256;  // of the file's bytes
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> values;  // [column][row]
  std::vector<std::int64_t> lines;               // [row]: where it starts, from 1

  std::int64_t rows() const { return static_cast<std::int64_t>(lines.size()); }
};

// Throws Error: kNotFound, kIo; kInvalidArgument for an unknown ending or column (did you mean), bytes that are not
// UTF-8 (line and byte offset), a file without rows, or wrong rows (up to 20, each `file:line: column: found,
// expected`).
TextSource read_text_source(const std::filesystem::path& path, const TextSourceOptions& options);

// Throws what read_text_source throws of the file whatever columns are wanted: for who does not know them. A .json file
// that is one JSON value passes too.
void check_text_source(const std::filesystem::path& path);

}  // namespace palimpsest::data
