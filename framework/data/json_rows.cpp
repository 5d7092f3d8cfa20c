#include "data/json_rows.hpp"

#include <algorithm>
#include <optional>

#include "base/json_keys.hpp"
#include "base/text.hpp"
#include "data/text.hpp"

namespace palimpsest::data {
namespace {

using nlohmann::json;

constexpr int kMostDepth = 32;

// The value, or nothing after an error was added.
std::optional<json> parse_object(std::string_view piece, std::int64_t line, RowErrors& errors) {
  JsonKeys keys;
  std::string duplicate;
  bool too_deep = false;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (too_deep || depth > kMostDepth) {
      too_deep = true;
      return false;
    }
    if (const std::string* key = keys.twice(event, parsed); key != nullptr && duplicate.empty()) duplicate = *key;
    return true;
  };
  try {
    json value = json::parse(piece.begin(), piece.end(), watch);
    if (too_deep) {
      errors.add(line, "", "nesting deeper than ", kMostDepth, " levels; expected one flat object");
    } else if (!value.is_object()) {
      errors.add(line, "", "found ", describe(value), ", expected an object {...}");
    } else if (!duplicate.empty()) {
      errors.add(line, duplicate, "the key stands twice in one object; expected it once");
    } else {
      return value;
    }
  } catch (const json::parse_error& e) {
    // The library counts from 1 and one past the byte it stopped at.
    const std::size_t at = std::min(e.byte == 0 ? 0 : e.byte - 1, piece.size());
    errors.add(line, "", "not JSON: unexpected ",
               at < piece.size() ? in_quotes(piece.substr(at, 12)) : std::string("end of the text"), " at byte ",
               at + 1, " of the row; expected one object {...}");
  } catch (const json::exception& e) {  // a number too large for a double
    errors.add(line, "", "not JSON that can be read: ", e.what());
  }
  return std::nullopt;
}

// From text[at], the end of the JSON value there: behind its closing bracket, or before the next ',' or ']' of the
// array. Strings are skipped, so brackets in them do not count.
std::size_t value_end(std::string_view text, std::size_t at) {
  int depth = 0;
  bool in_string = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') {
        ++at;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    } else if (c == ',' && depth == 0) {
      return at;
    }
  }
  return text.size();
}

void for_each_array_row(std::string_view text, std::int64_t line, RowErrors& errors,
                        const std::function<void(const json&, std::int64_t)>& row) {
  std::size_t at = 1, counted = 0;
  const auto line_at = [&](std::size_t position) {
    line += std::count(text.begin() + static_cast<std::ptrdiff_t>(counted),
                       text.begin() + static_cast<std::ptrdiff_t>(position), '\n');
    counted = position;
    return line;
  };
  const auto skip_space = [&] {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) ++at;
  };
  bool first = true;
  while (true) {
    skip_space();
    if (at < text.size() && text[at] == ']' && first) break;
    const std::size_t end = value_end(text, at);
    const std::int64_t here = line_at(std::min(at, text.size()));
    if (at >= text.size()) {
      errors.add(here, "", "the array that opens with [ is not closed: expected ] at the end of the file");
      return;
    }
    if (const auto value = parse_object(text.substr(at, end - at), here, errors)) row(*value, here);
    first = false;
    at = end;
    skip_space();
    if (at < text.size() && text[at] == ',') {
      ++at;
    } else if (at < text.size() && text[at] == ']') {
      break;
    } else {
      errors.add(line_at(std::min(at, text.size())), "", "found ",
                 at < text.size() ? in_quotes(text.substr(at, 12)) : std::string("the end of the file"),
                 ", expected , or ] after an object of the array");
      return;
    }
  }
  ++at;
  skip_space();
  if (at < text.size()) {
    errors.add(line_at(at), "", "found ", in_quotes(text.substr(at, 12)),
               " behind the closing ] of the array, expected nothing");
  }
}

}  // namespace

void for_each_json_row(std::string_view text, RowErrors& errors,
                       const std::function<void(const json&, std::int64_t)>& row) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start != std::string_view::npos && text[start] == '[') {
    const auto skipped = text.substr(0, start);
    for_each_array_row(text.substr(start), 1 + std::count(skipped.begin(), skipped.end(), '\n'), errors, row);
    return;
  }
  std::int64_t line = 1;
  for (std::size_t at = 0; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view piece = text.substr(at, end - at);
    at = end + 1;
    if (piece.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (const auto value = parse_object(piece, line, errors)) row(*value, line);
  }
}

std::string describe(const json& value) {
  switch (value.type()) {
    case json::value_t::null: return "null";
    case json::value_t::boolean: return value.get<bool>() ? "true" : "false";
    case json::value_t::string: return cat("the text ", in_quotes(value.get_ref<const std::string&>()));
    case json::value_t::array: return cat("a list of ", value.size());
    case json::value_t::object: return cat("an object of ", value.size(), " keys");
    default: return cat("the number ", value.dump());
  }
}

const json* RowReader::find(const std::string& name, bool required, std::string_view expected) const {
  if (has(name)) return &object_.at(name);
  if (required) {
    std::vector<std::string> present;
    for (const auto& item : object_.items()) present.push_back(item.key());
    error(name, object_.contains(name) ? "found null" : cat("missing", did_you_mean(name, present)), ", expected ",
          expected);
  }
  return nullptr;
}

std::string RowReader::text(const std::string& name) const {
  const json* value = find(name, true, "a text");
  if (value == nullptr) return {};
  if (!value->is_string()) {
    error(name, "found ", describe(*value), ", expected a text");
    return {};
  }
  auto text = value->get<std::string>();
  if (text.find('\0') != std::string::npos) {
    error(name, "found a zero character in the text, expected none");
    return {};
  }
  return text;
}

std::string RowReader::text_or(const std::string& name, std::string other) const {
  return has(name) ? text(name) : std::move(other);
}

std::string RowReader::text_or_integer(const std::string& name) const {
  if (has(name) && object_.at(name).is_number_integer()) return object_.at(name).dump();
  return text(name);
}

std::vector<std::string> RowReader::texts(const std::string& name, bool required) const {
  std::vector<std::string> out;
  const json* value = find(name, required, "a list of texts");
  if (value == nullptr) return out;
  if (!value->is_array()) {
    error(name, "found ", describe(*value), ", expected a list of texts");
    return out;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const json& item = (*value)[i];
    if (!item.is_string()) {
      error(cat(name, "[", i, "]"), "found ", describe(item), ", expected a text");
    } else if (item.get_ref<const std::string&>().find('\0') != std::string::npos) {
      error(cat(name, "[", i, "]"), "found a zero character in the text, expected none");
    } else {
      out.push_back(item.get<std::string>());
    }
  }
  return out;
}

std::optional<RowReader> RowReader::object(const std::string& name) const {
  const json* value = find(name, true, "an object");
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) {
    error(name, "found ", describe(*value), ", expected an object");
    return std::nullopt;
  }
  return RowReader(*value, line_, errors_, cat(path_, name, "."));
}

std::vector<RowReader> RowReader::objects(const std::string& name, bool required) const {
  std::vector<RowReader> out;
  const json* value = find(name, required, "a list of objects");
  if (value == nullptr) return out;
  if (!value->is_array()) {
    error(name, "found ", describe(*value), ", expected a list of objects");
    return out;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const json& item = (*value)[i];
    if (!item.is_object()) {
      error(cat(name, "[", i, "]"), "found ", describe(item), ", expected an object");
    } else {
      out.emplace_back(item, line_, errors_, cat(path_, name, "[", i, "]."));
    }
  }
  return out;
}

void RowReader::refuse_unknown(std::initializer_list<const char*> known) const {
  std::vector<std::string> names(known.begin(), known.end());
  for (const auto& item : object_.items()) {
    if (std::find(names.begin(), names.end(), item.key()) != names.end()) continue;
    error(item.key(), "unknown field", did_you_mean(item.key(), names), "; expected one of ", list_text(names));
  }
}

}  // namespace palimpsest::data
