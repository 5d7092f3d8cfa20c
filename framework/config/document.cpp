#include "config/document.hpp"

#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "base/files.hpp"

namespace palimpsest::config {
namespace {

namespace fs = std::filesystem;

constexpr int kCommandLineOrder = std::numeric_limits<int>::max();

void set_positions(Value& value, const Position& position) {
  value.position = position;
  if (value.is<Array>()) {
    for (Value& item : value.as<Array>()) set_positions(item, position);
  } else if (value.is<Table>()) {
    for (Entry& entry : value.as<Table>().entries) {
      entry.key_position = position;
      set_positions(entry.value, position);
    }
  }
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Reads a file and, depth first, what it extends.
class Loader {
 public:
  // `from`: the place of the `extends` that asks for the file; null for the first file.
  Table load(const fs::path& file, const Position* from) {
    const std::string name = file.string();
    std::error_code unresolved;  // a loop of links, no permission: reading the file says so
    fs::path identity = fs::weakly_canonical(file, unresolved);
    if (unresolved) identity = file.lexically_normal();
    if (std::find(chain_.begin(), chain_.end(), identity) != chain_.end()) {
      std::string names;
      for (const auto& link : names_) names += link + " -> ";
      fail(ErrorCode::kInvalidArgument, from->text(), ": extends: found a cycle, expected none: ", names, name);
    }
    if (++reads_ > kMaxExtendedFiles) {
      fail(ErrorCode::kInvalidArgument, from->text(), ": extends: more than ", kMaxExtendedFiles,
           " files are read, expected at most ", kMaxExtendedFiles);
    }
    const auto source = std::make_shared<const Source>(Source{name, file.parent_path(), order_++});
    if (!from) source_ = source;
    Table own = parse_toml(read(file, from), source);
    if (std::find(files_.begin(), files_.end(), identity) == files_.end()) files_.push_back(identity);

    const Entry* extends = own.find("extends");
    if (!extends) return own;
    const Value list = extends->value;
    own.erase("extends");
    chain_.push_back(identity);
    names_.push_back(name);
    Table merged;
    if (list.is<Array>()) {
      for (const Value& item : list.as<Array>()) merge(merged, extended(item, file));
    } else {
      merge(merged, extended(list, file));
    }
    chain_.pop_back();
    names_.pop_back();
    merge(merged, own);
    return merged;
  }

  std::vector<fs::path> files_;
  std::shared_ptr<const Source> source_;

 private:
  Table extended(const Value& item, const fs::path& file) {
    if (!item.is<std::string>() || item.as<std::string>().empty()) {
      fail(ErrorCode::kInvalidArgument, item.position.text(), ": extends: found ", describe(item),
           ", expected the path of a TOML file or a list of paths");
    }
    const fs::path path = (file.parent_path() / item.as<std::string>()).lexically_normal();
    return load(path, &item.position);
  }

  static std::string read(const fs::path& file, const Position* from) {
    try {
      return read_file(file, kMaxFileBytes);
    } catch (const Error& error) {
      if (!from) throw;
      rethrow_with_context(error, from->text() + ": extends");
    }
  }

  std::vector<fs::path> chain_;
  std::vector<std::string> names_;
  int order_ = 0;
  int reads_ = 0;
};

}  // namespace

void merge(Table& base, const Table& overlay) {
  for (const Entry& entry : overlay.entries) {
    Entry* below = base.find(entry.key);
    if (!below || !below->value.is<Table>() || !entry.value.is<Table>()) {
      base.set(entry.key, entry.value, entry.key_position);
      continue;
    }
    const auto& table = entry.value.as<Table>();
    const Entry* id = table.find("id");
    const Entry* id_below = below->value.as<Table>().find("id");
    if (id && !(id_below && same(id->value, id_below->value))) {
      base.set(entry.key, entry.value, entry.key_position);
      continue;
    }
    merge(below->value.as<Table>(), table);
    // A table of the command line has no place of its own to point to.
    if (entry.value.position.line == 0) continue;
    below->value.position = entry.value.position;
    below->key_position = entry.key_position;
  }
}

Setting parse_setting(std::string_view text, const fs::path& working_folder) {
  char quote = 0;
  std::size_t equals = 0;
  for (; equals < text.size() && (quote || text[equals] != '='); ++equals) {
    const char c = text[equals];
    if (quote ? c == quote : c == '"' || c == '\'') quote = quote ? 0 : c;
  }
  if (equals >= text.size()) {
    fail(ErrorCode::kInvalidArgument, "--set: found \"", text, "\", expected key=value, such as training.max_steps=10");
  }
  Setting setting;
  try {
    setting.key = split_key(trimmed(text.substr(0, equals)));
  } catch (const Error& error) {
    rethrow_with_context(error, "--set");
  }
  const std::string_view given = trimmed(text.substr(equals + 1));
  const auto source = std::make_shared<const Source>(Source{"--set", working_folder, kCommandLineOrder});
  setting.value.data = std::string(given);
  // A line break would end the value and let other keys in.
  if (!given.empty() && given.find_first_of("\r\n") == std::string_view::npos) {
    try {
      Table parsed = parse_toml(cat("value = ", given), source);
      setting.value = std::move(parsed.entries.front().value);
    } catch (const Error& error) {
      if (std::string_view("[{\"'").find(given.front()) != std::string_view::npos) {
        fail(ErrorCode::kInvalidArgument, "--set: ", join_key(setting.key), ": found ", given,
             ", expected a TOML value: ", error.what());
      }
    }
  }
  set_positions(setting.value, Position{source, 0, 0});
  return setting;
}

void assign(Table& table, const std::vector<std::string>& key, const Value& value, const Position& key_position) {
  Table* at = &table;
  for (std::size_t i = 0; i + 1 < key.size(); ++i) {
    Entry* entry = at->find(key[i]);
    if (!entry || !entry->value.is<Table>()) entry = &at->set(key[i], Value{Table{}, key_position}, key_position);
    at = &entry->value.as<Table>();
  }
  at->set(key.back(), value, key_position);
}

Document load_document(const fs::path& file, const std::vector<std::string>& settings) {
  Loader loader;
  Document document;
  document.root = loader.load(file, nullptr);
  document.file = file;
  document.files = std::move(loader.files_);
  document.source = loader.source_;
  Table overlay;
  for (const auto& text : settings) {
    const Setting setting = parse_setting(text, fs::current_path());
    assign(overlay, setting.key, setting.value, setting.value.position);
  }
  merge(document.root, overlay);
  if (const Entry* extends = document.root.find("extends")) {
    fail(ErrorCode::kInvalidArgument, extends->key_position.text(),
         ": extends: cannot be set on the command line; put it into the file");
  }
  return document;
}

}  // namespace palimpsest::config
