#include "config/value.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest::config {
namespace {

constexpr std::size_t kMaxParts = 64;
constexpr std::size_t kShownBytes = 60;

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string quote_toml(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '\r': out += "\\r"; break;
      default: {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
          constexpr char kHex[] = "0123456789ABCDEF";
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 15];
        } else {
          out += c;
        }
      }
    }
  }
  return out + '"';
}

std::string key_text(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), is_bare) ? std::string(key) : quote_toml(key);
}

std::string number_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number).ptr;
  std::string text(buffer, end);
  // TOML tells an integer from a float by its looks.
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::vector<const Entry*> sorted(const Table& table) {
  std::vector<const Entry*> entries;
  entries.reserve(table.entries.size());
  for (const Entry& entry : table.entries) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) { return a->key < b->key; });
  return entries;
}

bool is_list_of_tables(const Value& value) {
  if (!value.is<Array>()) return false;
  const auto& items = value.as<Array>();
  return !items.empty() && std::all_of(items.begin(), items.end(), [](const Value& v) { return v.is<Table>(); });
}

void write_table(std::string& out, const Table& table, const std::string& prefix) {
  const auto entries = sorted(table);
  for (const Entry* entry : entries) {
    if (entry->value.is<Table>() || is_list_of_tables(entry->value)) continue;
    out += key_text(entry->key) + " = " + inline_toml(entry->value) + "\n";
  }
  for (const Entry* entry : entries) {
    const std::string name = prefix.empty() ? key_text(entry->key) : prefix + "." + key_text(entry->key);
    if (entry->value.is<Table>()) {
      out += cat(out.empty() ? "[" : "\n[", name + "]\n");
      write_table(out, entry->value.as<Table>(), name);
    } else if (is_list_of_tables(entry->value)) {
      for (const Value& item : entry->value.as<Array>()) {
        out += cat(out.empty() ? "[[" : "\n[[", name + "]]\n");
        write_table(out, item.as<Table>(), name);
      }
    }
  }
}

}  // namespace

std::string Position::text() const {
  if (!source) return "default";
  return line == 0 ? source->name : cat(source->name, ":", line, ":", column);
}

bool before(const Position& a, const Position& b) {
  const int order_a = a.source ? a.source->order : -1;
  const int order_b = b.source ? b.source->order : -1;
  if (order_a != order_b) return order_a < order_b;
  if (a.line != b.line) return a.line < b.line;
  return a.column < b.column;
}

const Entry* Table::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

Entry* Table::find(std::string_view key) { return const_cast<Entry*>(std::as_const(*this).find(key)); }

Entry& Table::set(std::string_view key, Value value, Position key_position) {
  if (Entry* entry = find(key)) {
    entry->value = std::move(value);
    entry->key_position = std::move(key_position);
    return *entry;
  }
  entries.push_back({std::string(key), std::move(key_position), std::move(value)});
  return entries.back();
}

bool Table::erase(std::string_view key) {
  return std::erase_if(entries, [key](const Entry& entry) { return entry.key == key; }) > 0;
}

bool same(const Value& a, const Value& b) {
  if (a.data.index() != b.data.index()) return false;
  if (a.is<Array>()) {
    const auto &x = a.as<Array>(), &y = b.as<Array>();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
  }
  if (a.is<Table>()) {
    const auto &x = a.as<Table>(), &y = b.as<Table>();
    if (x.entries.size() != y.entries.size()) return false;
    return std::all_of(x.entries.begin(), x.entries.end(), [&y](const Entry& entry) {
      const Entry* other = y.find(entry.key);
      return other && same(entry.value, other->value);
    });
  }
  if (a.is<bool>()) return a.as<bool>() == b.as<bool>();
  if (a.is<std::int64_t>()) return a.as<std::int64_t>() == b.as<std::int64_t>();
  if (a.is<std::string>()) return a.as<std::string>() == b.as<std::string>();
  // By text, so that nan equals nan.
  return number_text(a.as<double>()) == number_text(b.as<double>());
}

std::string describe(const Value& value) {
  if (value.is<bool>()) return value.as<bool>() ? "the boolean true" : "the boolean false";
  if (value.is<std::int64_t>()) return cat("the integer ", value.as<std::int64_t>());
  if (value.is<double>()) return cat("the number ", number_text(value.as<double>()));
  if (value.is<Array>()) return "a list";
  if (value.is<Table>()) return "a table";
  const auto& text = value.as<std::string>();
  if (text.size() <= kShownBytes) return cat("the string ", quote_toml(text));
  std::size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return cat("the string ", quote_toml(std::string_view(text).substr(0, end)), "... (", text.size(), " bytes)");
}

std::string inline_toml(const Value& value) {
  if (value.is<bool>()) return value.as<bool>() ? "true" : "false";
  if (value.is<std::int64_t>()) return std::to_string(value.as<std::int64_t>());
  if (value.is<double>()) return number_text(value.as<double>());
  if (value.is<std::string>()) return quote_toml(value.as<std::string>());
  if (value.is<Array>()) return cat("[", list_text(value.as<Array>(), inline_toml), "]");
  const auto pair = [](const Entry* entry) { return cat(key_text(entry->key), " = ", inline_toml(entry->value)); };
  return cat("{", list_text(sorted(value.as<Table>()), pair), "}");
}

std::string canonical_toml(const Table& table) {
  std::string out;
  write_table(out, table, "");
  return out;
}

std::vector<std::string> split_key(std::string_view dotted) {
  const auto malformed = [&dotted](std::string_view why) {
    fail(ErrorCode::kInvalidArgument, "found the key ", quote_toml(dotted.substr(0, kShownBytes)), " (", why,
         "), expected names joined by dots, such as training.learning_rate");
  };
  std::vector<std::string> parts;
  std::size_t i = 0;
  const auto skip_spaces = [&] {
    while (i < dotted.size() && (dotted[i] == ' ' || dotted[i] == '\t')) ++i;
  };
  for (;;) {
    skip_spaces();
    std::string part;
    if (i < dotted.size() && (dotted[i] == '"' || dotted[i] == '\'')) {
      const char quote = dotted[i++];
      while (i < dotted.size() && dotted[i] != quote) {
        if (quote == '"' && dotted[i] == '\\' && i + 1 < dotted.size()) ++i;
        part += dotted[i++];
      }
      if (i == dotted.size()) malformed("a quote is not closed");
      ++i;
    } else {
      while (i < dotted.size() && is_bare(dotted[i])) part += dotted[i++];
      if (part.empty()) malformed("a part is empty");
    }
    parts.push_back(std::move(part));
    skip_spaces();
    if (i == dotted.size()) break;
    if (dotted[i] != '.') malformed("a character other than a letter, digit, _ or - is not quoted");
    ++i;
    if (parts.size() == kMaxParts) malformed(cat("more than ", kMaxParts, " parts"));
  }
  return parts;
}

std::string join_key(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) out += cat(out.empty() ? "" : ".", key_text(part));
  return out;
}

}  // namespace palimpsest::config
