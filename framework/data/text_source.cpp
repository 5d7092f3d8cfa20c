#include "data/text_source.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "data/csv.hpp"
#include "data/json_rows.hpp"
#include "data/text.hpp"

namespace palimpsest::data {
namespace {

constexpr std::array<std::string_view, 3> kFormatNames = {"txt", "jsonl", "csv"};
constexpr std::array<std::string_view, 2> kUnitNames = {"paragraphs", "lines"};

TextFormat find_format(const std::filesystem::path& path, const std::string& given) {
  std::string name = given;
  if (name.empty()) {
    name = path.extension().string();
    if (!name.empty()) name.erase(0, 1);
    if (name == "json") name = "jsonl";
  }
  for (std::size_t i = 0; i < kFormatNames.size(); ++i) {
    if (kFormatNames[i] == name) return static_cast<TextFormat>(i);
  }
  if (given.empty()) {
    fail(ErrorCode::kInvalidArgument, path.string(), ": found the ending ", in_quotes(path.extension().string()),
         ", expected .txt, .jsonl, .json or .csv; or say format = \"txt\", \"jsonl\" or \"csv\"");
  }
  fail(ErrorCode::kInvalidArgument, "unknown format of text ", in_quotes(given), did_you_mean(given, kFormatNames),
       "; available: txt, jsonl, csv");
}

// What all three readers fill.
class Builder {
 public:
  Builder(TextSource& out, const TextSourceOptions& options) : out_(out), options_(options) {
    std::set<std::string> seen;
    for (const auto* list : {&options.columns, &options.optional_columns}) {
      for (const auto& name : *list) {
        if (!seen.insert(name).second) {
          fail(ErrorCode::kInvalidArgument, "the column ", in_quotes(name), " is asked for twice, expected once");
        }
      }
    }
  }

  // Decides the columns, given those the file has in the order of the file.
  void set_columns(const std::vector<std::string>& present) {
    out_.columns = options_.columns.empty() ? present : options_.columns;
    for (const auto& name : options_.optional_columns) {
      if (std::find(out_.columns.begin(), out_.columns.end(), name) == out_.columns.end()) out_.columns.push_back(name);
    }
    out_.values.resize(out_.columns.size());
  }
  bool has_columns() const { return !out_.values.empty(); }
  bool is_optional(const std::string& name) const {
    return std::find(options_.optional_columns.begin(), options_.optional_columns.end(), name) !=
           options_.optional_columns.end();
  }
  void require_present(const std::vector<std::string>& present, std::int64_t line) const {
    for (const auto& name : options_.columns) {
      if (std::find(present.begin(), present.end(), name) != present.end()) continue;
      std::string list;
      for (const auto& other : present) list += cat(list.empty() ? "" : ", ", other);
      fail(ErrorCode::kInvalidArgument, out_.path, ":", line, ": there is no column ", in_quotes(name),
           did_you_mean(name, present), "; the file has ", list);
    }
  }
  void add_row(std::vector<std::string> row, std::int64_t line) {
    for (std::size_t c = 0; c < row.size(); ++c) out_.values[c].push_back(std::move(row[c]));
    out_.lines.push_back(line);
  }
  const std::vector<std::string>& columns() const { return out_.columns; }

 private:
  TextSource& out_;
  const TextSourceOptions& options_;
};

void read_plain(std::string_view text, TextUnit unit, Builder& builder) {
  builder.require_present({"text"}, 1);
  builder.set_columns({"text"});
  std::string document;
  std::int64_t line = 1, start = 1;
  const auto flush = [&] {
    if (document.empty()) return;
    std::vector<std::string> row(builder.columns().size());
    row[0] = std::move(document);
    document.clear();
    builder.add_row(std::move(row), start);
  };
  for (std::size_t at = 0; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view piece = text.substr(at, end - at);
    at = end + 1;
    if (piece.ends_with('\r')) piece.remove_suffix(1);
    if (trimmed(piece).empty()) {
      flush();
      continue;
    }
    if (document.empty()) {
      start = line;
    } else {
      document += '\n';
    }
    document += piece;
    if (unit == TextUnit::kLines) flush();
  }
  flush();
}

void read_jsonl(std::string_view text, Builder& builder, RowErrors& errors) {
  for_each_json_row(text, errors, [&](const nlohmann::json& object, std::int64_t line) {
    if (!builder.has_columns()) {
      std::vector<std::string> present;
      for (const auto& item : object.items()) present.push_back(item.key());
      builder.require_present(present, line);
      builder.set_columns(present);
    }
    const RowReader reader(object, line, errors);
    const std::size_t before = errors.count();
    std::vector<std::string> row;
    for (const auto& name : builder.columns()) {
      if (!reader.has(name) && builder.is_optional(name)) {
        row.emplace_back();
        continue;
      }
      const auto value = object.find(name);
      if (value != object.end() && (value->is_number() || value->is_boolean())) {
        row.push_back(value->dump());
      } else {
        row.push_back(reader.text(name));
      }
    }
    if (errors.count() == before) builder.add_row(std::move(row), line);
  });
}

void read_csv(std::string_view text, const std::string& path, Builder& builder, RowErrors& errors) {
  std::vector<std::string> header;
  std::vector<std::optional<std::size_t>> source;  // [column]: its field
  for_each_csv_record(text, errors, [&](std::vector<std::string>& fields, std::int64_t line) {
    if (header.empty()) {
      header = fields;
      for (std::size_t i = 0; i < header.size(); ++i) {
        if (header[i].empty()) {
          fail(ErrorCode::kInvalidArgument, path, ":", line, ": column ", i + 1,
               " of the header has no name, expected one");
        }
        if (std::find(header.begin(), header.begin() + static_cast<std::ptrdiff_t>(i), header[i]) !=
            header.begin() + static_cast<std::ptrdiff_t>(i)) {
          fail(ErrorCode::kInvalidArgument, path, ":", line, ": the header names ", in_quotes(header[i]),
               " twice, expected different names");
        }
      }
      builder.require_present(header, line);
      builder.set_columns(header);
      for (const auto& name : builder.columns()) {
        const auto at = std::find(header.begin(), header.end(), name);
        source.push_back(at == header.end() ? std::nullopt : std::optional<std::size_t>(at - header.begin()));
      }
      return;
    }
    if (fields.size() != header.size()) {
      errors.add(line, "", "found ", fields.size(), " fields, expected ", header.size(), " as in the header");
      return;
    }
    std::vector<std::string> row;
    for (const auto& field : source) row.push_back(field ? fields[*field] : std::string());
    builder.add_row(std::move(row), line);
  });
}

}  // namespace

std::string_view name_of(TextFormat format) { return kFormatNames[static_cast<std::size_t>(format)]; }
std::string_view name_of(TextUnit unit) { return kUnitNames[static_cast<std::size_t>(unit)]; }

TextUnit text_unit(std::string_view name) {
  for (std::size_t i = 0; i < kUnitNames.size(); ++i) {
    if (kUnitNames[i] == name) return static_cast<TextUnit>(i);
  }
  fail(ErrorCode::kInvalidArgument, "unit of text: found ", in_quotes(name), ", expected paragraphs or lines",
       did_you_mean(name, kUnitNames));
}

TextSource read_text_source(const std::filesystem::path& path, const TextSourceOptions& options) {
  TextSource out;
  out.path = path.string();
  out.format = find_format(path, options.format);
  Builder builder(out, options);
  const std::string bytes = read_file(path);
  require_utf8(bytes, out.path);
  out.sha256 = sha256_hex(bytes);
  std::string_view text = bytes;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  RowErrors errors(out.path);
  switch (out.format) {
    case TextFormat::kText: read_plain(text, options.unit, builder); break;
    case TextFormat::kJsonl: read_jsonl(text, builder, errors); break;
    case TextFormat::kCsv: read_csv(text, out.path, builder, errors); break;
  }
  errors.throw_if_any();
  if (out.rows() == 0) fail(ErrorCode::kInvalidArgument, out.path, ": found no rows, expected at least one");
  return out;
}

}  // namespace palimpsest::data
