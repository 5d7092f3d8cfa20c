#include "data/text_source.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "data/csv.hpp"
#include "data/json_rows.hpp"
#include "data/text.hpp"

namespace palimpsest::data {
namespace {

constexpr const char* kJsonEnding = ".json";

// Which columns are read.
enum class Take {
  kWanted,  // those of the options
  kNone,    // only the rows are counted
};

// What all three readers fill.
class Builder {
 public:
  Builder(TextSource& out, const TextSourceOptions& options, Take take) : out_(out), options_(options), take_(take) {
    std::set<std::string> seen;
    for (const auto& name : options.columns) {
      if (!seen.insert(name).second) {
        fail(ErrorCode::kInvalidArgument, "the column ", in_quotes(name), " is asked for twice, expected once");
      }
    }
  }

  // Decides the columns, given those the file has in the order of the file.
  void set_columns(const std::vector<std::string>& present) {
    if (take_ == Take::kWanted) out_.columns = options_.columns.empty() ? present : options_.columns;
    out_.values.resize(out_.columns.size());
    decided_ = true;
  }
  bool decided() const { return decided_; }
  void require_present(const std::vector<std::string>& present, std::int64_t line) const {
    for (const auto& name : options_.columns) {
      if (std::find(present.begin(), present.end(), name) != present.end()) continue;
      fail(ErrorCode::kInvalidArgument, out_.path, ":", line, ": there is no column ", in_quotes(name),
           did_you_mean(name, present), "; the file has ", list_text(present));
    }
  }
  // One text a column.
  void add_row(std::vector<std::string> row, std::int64_t line) {
    for (std::size_t c = 0; c < out_.values.size(); ++c) out_.values[c].push_back(std::move(row[c]));
    out_.lines.push_back(line);
  }
  const std::vector<std::string>& columns() const { return out_.columns; }

 private:
  TextSource& out_;
  const TextSourceOptions& options_;
  Take take_;
  bool decided_ = false;
};

void read_plain(std::string_view text, Builder& builder) {
  builder.require_present({"text"}, 1);
  builder.set_columns({"text"});
  std::string document;
  std::int64_t line = 1, start = 1;
  const auto flush = [&] {
    if (document.empty()) return;
    std::vector<std::string> row(1);
    row[0].swap(document);
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
  }
  flush();
}

void read_jsonl(std::string_view text, Builder& builder, RowErrors& errors) {
  for_each_json_row(text, errors, [&](const nlohmann::json& object, std::int64_t line) {
    if (!builder.decided()) {
      std::vector<std::string> present;
      for (const auto& item : object.items()) present.push_back(item.key());
      builder.require_present(present, line);
      builder.set_columns(present);
    }
    const RowReader reader(object, line, errors);
    const std::size_t before = errors.count();
    std::vector<std::string> row;
    for (const auto& name : builder.columns()) {
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
  std::vector<std::size_t> source;  // [column]: its field
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
        source.push_back(static_cast<std::size_t>(std::find(header.begin(), header.end(), name) - header.begin()));
      }
      return;
    }
    if (fields.size() != header.size()) {
      errors.add(line, "", "found ", fields.size(), " fields, expected ", header.size(), " as in the header");
      return;
    }
    std::vector<std::string> row;
    for (const std::size_t field : source) row.push_back(std::move(fields[field]));
    builder.add_row(std::move(row), line);
  });
}

TextSource read(const std::filesystem::path& path, const TextSourceOptions& options, Take take) {
  const auto format = text_format(path);
  if (!format) {
    fail(ErrorCode::kInvalidArgument, path.string(), ": found the ending ", in_quotes(path.extension().string()),
         ", expected .txt, .jsonl, .json or .csv");
  }
  TextSource out;
  out.path = path.string();
  Builder builder(out, options, take);
  const std::string bytes = read_file(path);
  require_utf8(bytes, out.path);
  if (take == Take::kWanted) out.sha256 = sha256_hex(bytes);
  std::string_view text = bytes;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  RowErrors errors(out.path);
  switch (*format) {
    case TextFormat::kText: read_plain(text, builder); break;
    case TextFormat::kJsonl: read_jsonl(text, builder, errors); break;
    case TextFormat::kCsv: read_csv(text, out.path, builder, errors); break;
  }
  errors.throw_if_any();
  if (out.rows() == 0) fail(ErrorCode::kInvalidArgument, out.path, ": found no rows, expected at least one");
  return out;
}

}  // namespace

std::optional<TextFormat> text_format(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".txt") return TextFormat::kText;
  if (ending == ".jsonl" || ending == kJsonEnding) return TextFormat::kJsonl;
  if (ending == ".csv") return TextFormat::kCsv;
  return std::nullopt;
}

TextSource read_text_source(const std::filesystem::path& path, const TextSourceOptions& options) {
  return read(path, options, Take::kWanted);
}

void check_text_source(const std::filesystem::path& path) {
  try {
    read(path, {}, Take::kNone);
  } catch (const Error& error) {
    // One value over several lines is no list of rows, and may be what its reader wants.
    const bool may_be_a_value = error.code() == ErrorCode::kInvalidArgument && path.extension() == kJsonEnding;
    if (!may_be_a_value || !nlohmann::json::accept(read_file(path))) throw;
  }
}

}  // namespace palimpsest::data
