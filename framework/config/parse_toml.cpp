// parse_toml: the text is scanned for what would hurt the parser, parsed by toml++, and copied into our own tree.
//
// toml++ 3.3 recurses, and frees, once per table, without a limit on dotted keys and headers: 200 kB of `a.a.a...`
// overflow its stack. The scanner follows the grammar of strings, comments and brackets only. Up to the first syntax
// error it sees what the parser sees; the parser stops there.
#include <toml++/toml.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/utf8.hpp"
#include "config/document.hpp"

namespace palimpsest::config {
namespace {

// Levels in all, dotted parts included: a bound for the parser's stack, far above what convert() then accepts.
constexpr int kMaxStackLevels = 4 * kMaxNesting;

class Scanner {
 public:
  Scanner(std::string_view text, const std::shared_ptr<const Source>& source) : text_(text), source_(source) {}

  void check_utf8() {
    while (at_ < text_.size()) {
      const Utf8Step next = utf8_step(text_, at_);
      if (!next.ok) {
        constexpr char kHex[] = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(text_[at_]);
        refuse("invalid UTF-8: found the byte 0x", kHex[byte >> 4], kHex[byte & 15], ", expected UTF-8 text");
      }
      step(next.size);
    }
    at_ = 0, line_ = 1, column_ = 1;
  }

  void check_nesting() {
    struct Level {
      int parts = 1;          // of the key being read
      bool in_value = false;  // dots belong to a number or a date
    };
    std::vector<Level> levels(1);
    int total = 1;
    const auto reset = [&](Level& level) {
      total -= level.parts - 1;
      level = Level{};
    };
    while (at_ < text_.size()) {
      const char c = text_[at_];
      switch (c) {
        case '#':
          while (at_ < text_.size() && text_[at_] != '\n') step(1);
          continue;
        case '"':
        case '\'': skip_string(c); continue;
        case '[':
        case '{':
          levels.emplace_back();
          if (++total > kMaxStackLevels || static_cast<int>(levels.size()) - 1 > kMaxNesting) refuse_nesting();
          break;
        case ']':
        case '}':
          if (levels.size() > 1) {
            reset(levels.back());
            levels.pop_back();
            --total;
          }
          break;
        case '=': levels.back().in_value = true; break;
        case '\n':
        case ',': reset(levels.back()); break;
        case '.':
          if (levels.back().in_value) break;
          if (++levels.back().parts > kMaxKeyParts) {
            refuse("a key of more than ", kMaxKeyParts, " dotted parts, expected at most ", kMaxKeyParts);
          }
          if (++total > kMaxStackLevels) refuse_nesting();
          break;
        default: break;
      }
      step(1);
    }
  }

 private:
  // Over `bytes` bytes: continuation bytes are no column of their own.
  void step(std::size_t bytes) {
    for (const std::size_t end = std::min(at_ + bytes, text_.size()); at_ < end; ++at_) {
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte == '\n') {
        ++line_, column_ = 1;
      } else if ((byte & 0xC0) != 0x80) {
        ++column_;
      }
    }
  }

  void skip_string(char quote) {
    const std::string triple(3, quote);
    if (text_.substr(at_, 3) == triple) {
      step(3);
      while (at_ < text_.size() && text_.substr(at_, 3) != triple) step(quote == '"' && text_[at_] == '\\' ? 2 : 1);
      step(3);
      // A multi-line string may end in up to two quotes of its own.
      for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] == quote; ++i) step(1);
      return;
    }
    step(1);
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
      step(quote == '"' && text_[at_] == '\\' ? 2 : 1);
    }
    if (at_ < text_.size() && text_[at_] == quote) step(1);
  }

  [[noreturn]] void refuse_nesting() {
    refuse("more than ", kMaxNesting, " levels of nested lists and tables, expected at most ", kMaxNesting);
  }

  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) {
    fail(ErrorCode::kInvalidArgument, Position{source_, line_, column_}.text(), ": ", parts...);
  }

  std::string_view text_;
  const std::shared_ptr<const Source>& source_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1, column_ = 1;
};

class Converter {
 public:
  explicit Converter(const std::shared_ptr<const Source>& source) : source_(source) {}

  Table table(const toml::table& from, int depth) const {
    Table to;
    to.entries.reserve(from.size());
    for (auto&& [key, node] : from) {
      const Position at = position(key.source());
      to.entries.push_back({std::string(key.str()), at, value(node, at, depth + 1)});
    }
    // toml++ keeps keys sorted by name.
    std::stable_sort(to.entries.begin(), to.entries.end(),
                     [](const Entry& a, const Entry& b) { return before(a.key_position, b.key_position); });
    return to;
  }

 private:
  Position position(const toml::source_region& region) const {
    return {source_, static_cast<std::uint32_t>(region.begin.line), static_cast<std::uint32_t>(region.begin.column)};
  }

  Value value(const toml::node& node, const Position& key, int depth) const {
    Position at = position(node.source());
    if (at.line == 0) at = key;  // a table that no header names
    if (depth > kMaxNesting && (node.is_table() || node.is_array())) {
      fail(ErrorCode::kInvalidArgument, at.text(), ": more than ", kMaxNesting,
           " levels of nested lists and tables, expected at most ", kMaxNesting);
    }
    switch (node.type()) {
      case toml::node_type::boolean: return {node.as_boolean()->get(), at};
      case toml::node_type::integer: return {node.as_integer()->get(), at};
      case toml::node_type::floating_point: return {node.as_floating_point()->get(), at};
      case toml::node_type::string: return {node.as_string()->get(), at};
      case toml::node_type::table: return {table(*node.as_table(), depth), at};
      case toml::node_type::array: {
        Array items;
        items.reserve(node.as_array()->size());
        for (const toml::node& item : *node.as_array()) items.push_back(value(item, at, depth + 1));
        return {std::move(items), at};
      }
      default:
        fail(ErrorCode::kInvalidArgument, at.text(),
             ": found a date or a time, expected a number, text, true or false; ", "put it in quotes if text is meant");
    }
  }

  const std::shared_ptr<const Source>& source_;
};

}  // namespace

Table parse_toml(std::string_view text, const std::shared_ptr<const Source>& source) {
  if (text.size() > kMaxFileBytes) {
    fail(ErrorCode::kInvalidArgument, source->name, ": ", text.size(), " bytes, expected at most ", kMaxFileBytes);
  }
  Scanner scanner(text, source);
  scanner.check_utf8();
  scanner.check_nesting();
  try {
    const toml::table parsed = toml::parse(text, std::string_view(source->name));
    return Converter(source).table(parsed, 0);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    const Position position{source, static_cast<std::uint32_t>(at.line), static_cast<std::uint32_t>(at.column)};
    fail(ErrorCode::kInvalidArgument, position.text(), ": invalid TOML: ", error.description());
  }
}

}  // namespace palimpsest::config
