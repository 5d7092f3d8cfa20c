#include "model/tokenizer/classes.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.hpp"
#include "model/tokenizer/bytes.hpp"

namespace palimpsest::model {
namespace {

constexpr char32_t kLast = kCodePoints - 1;

constexpr std::array<std::string_view, 30> kCategoryNames = {
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe",
    "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"};

void append(std::vector<CodePointRange>& ranges, const CodePointSet& set) {
  ranges.insert(ranges.end(), set.begin(), set.end());
}

CodePointSet single(char32_t point) { return {{point, point}}; }

// Reads Oniguruma's default syntax, as far as its meaning in PCRE2 is the same or can be written out.
class PatternParser {
 public:
  explicit PatternParser(std::string_view pattern) : pattern_(pattern), points_(decode_utf8(pattern).points) {}

  std::vector<PatternItem> parse() {
    while (at_ < points_.size()) {
      const char32_t c = points_[at_];
      switch (c) {
        case U'(': open_group(); break;
        case U')':
          if (caseless_.empty()) corrupt("a group is closed that was not opened");
          caseless_.pop_back();
          ++at_;
          syntax(")", true);
          break;
        case U'|':
          ++at_;
          syntax("|", false);
          break;
        case U'*':
        case U'+':
        case U'?':
        case U'{': quantifier(); break;
        case U'[':
          refuse_in_caseless("a character class");
          character(bracket_class());
          break;
        case U'.':
          refuse_in_caseless("\".\"");
          ++at_;
          character(complement(single(U'\n')));
          break;
        case U'^':
        case U'$': unsupported(cat("the anchor \"", static_cast<char>(c), "\""));
        case U'\\': {
          const Escape escape = read_escape();
          if (!escape.is_literal) refuse_in_caseless("a character class");
          character(escape.is_literal ? literal(escape.point) : escape.set);
          break;
        }
        default: ++at_; character(literal(c));
      }
    }
    if (!caseless_.empty()) corrupt("a group is opened that is not closed");
    return std::move(items_);
  }

 private:
  struct Escape {
    bool is_literal = true;
    char32_t point = 0;
    CodePointSet set;
  };

  [[noreturn]] void unsupported(const std::string& what) const {
    fail(ErrorCode::kUnsupported, what, " at character ", at_ + 1, " of the pattern is not supported: ", pattern_);
  }
  [[noreturn]] void corrupt(const std::string& what) const {
    fail(ErrorCode::kCorrupt, what, " (character ", at_ + 1, " of the pattern): ", pattern_);
  }

  bool caseless() const { return !caseless_.empty() && caseless_.back(); }
  void refuse_in_caseless(const char* what) const {
    if (caseless()) unsupported(cat(what, " inside (?i:...)"));
  }
  bool looking_at(std::u32string_view text) const {
    return std::u32string_view(points_.data(), points_.size()).substr(at_).starts_with(text);
  }

  void character(CodePointSet set) {
    items_.emplace_back(std::move(set));
    quantifiable_ = true;
  }
  void syntax(std::string text, bool quantifiable) {
    items_.emplace_back(std::move(text));
    quantifiable_ = quantifiable;
    if (!quantifiable) previous_caseless_letter_ = 0;
  }

  // A character that stands for itself; inside (?i:...) with all characters that fold to it.
  CodePointSet literal(char32_t c) {
    if (!caseless()) {
      previous_caseless_letter_ = 0;
      return single(c);
    }
    if (c >= 0x80) unsupported("a character outside ASCII inside (?i:...)");
    const bool upper = c >= U'A' && c <= U'Z';
    const char32_t lower = upper ? c + 0x20 : c;
    const char32_t before = std::exchange(previous_caseless_letter_, lower);
    if (lower < U'a' || lower > U'z') return single(c);
    // Ligatures and sharp s fold to these pairs, so that one character of a text can match two of the pattern.
    if ((before == U'f' && (lower == U'f' || lower == U'i' || lower == U'l')) ||
        (before == U's' && (lower == U's' || lower == U't'))) {
      unsupported(cat("\"", static_cast<char>(before), static_cast<char>(lower), "\" inside (?i:...)"));
    }
    std::vector<CodePointRange> ranges = {{lower, lower}, {lower - 0x20, lower - 0x20}};
    if (lower == U's') ranges.push_back({0x17F, 0x17F});    // long s
    if (lower == U'k') ranges.push_back({0x212A, 0x212A});  // Kelvin sign
    return make_set(std::move(ranges));
  }

  void open_group() {
    static constexpr std::array<std::pair<std::u32string_view, const char*>, 6> kGroups = {
        {{U"(?:", "(?:"}, {U"(?=", "(?="}, {U"(?!", "(?!"}, {U"(?<=", "(?<="}, {U"(?<!", "(?<!"}, {U"(?>", "(?>"}}};
    if (looking_at(U"(?i:")) {
      at_ += 4;
      caseless_.push_back(true);
      syntax("(?:", false);
      return;
    }
    for (const auto& [opening, written] : kGroups) {
      if (!looking_at(opening)) continue;
      at_ += opening.size();
      caseless_.push_back(caseless());
      syntax(written, false);
      return;
    }
    if (looking_at(U"(?") || looking_at(U"(*")) {
      std::string found;
      for (std::size_t i = at_; i < std::min(points_.size(), at_ + 4); ++i) append_utf8(found, points_[i]);
      unsupported(cat("the group \"", found, "\""));
    }
    ++at_;
    caseless_.push_back(caseless());
    syntax("(?:", false);  // what a group captures is never asked for
  }

  void quantifier() {
    if (!quantifiable_) corrupt("a quantifier with nothing to repeat");
    std::string text;
    if (points_[at_] == U'{') {
      text = interval();
      if (at_ < points_.size() && (points_[at_] == U'?' || points_[at_] == U'+')) {
        unsupported("a lazy or possessive interval");
      }
    } else {
      text = static_cast<char>(points_[at_++]);
      if (at_ < points_.size() && (points_[at_] == U'?' || points_[at_] == U'+')) {
        text += static_cast<char>(points_[at_++]);
      }
    }
    syntax(std::move(text), false);
    if (at_ < points_.size() && std::u32string_view(U"*+?{").find(points_[at_]) != std::u32string_view::npos) {
      unsupported("a quantifier on a quantifier");
    }
  }

  // {n}, {n,}, {,m}, {n,m}
  std::string interval() {
    const auto number = [&] {
      std::string digits;
      while (at_ < points_.size() && points_[at_] >= U'0' && points_[at_] <= U'9' && digits.size() < 6) {
        digits += static_cast<char>(points_[at_++]);
      }
      return digits;
    };
    ++at_;
    const std::string low = number();
    std::string high = low;
    const bool comma = at_ < points_.size() && points_[at_] == U',';
    if (comma) {
      ++at_;
      high = number();
    }
    if (at_ == points_.size() || points_[at_] != U'}' || (low.empty() && high.empty())) {
      unsupported("\"{\" that opens no interval such as {1,3}");
    }
    ++at_;
    const std::string_view from = low.empty() ? std::string_view("0") : std::string_view(low);
    return comma ? cat("{", from, ",", high, "}") : cat("{", from, "}");
  }

  char32_t hexadecimal(std::size_t least, std::size_t most) {
    std::string digits;
    while (at_ < points_.size() && digits.size() < most && points_[at_] < 0x80 &&
           std::isxdigit(static_cast<int>(points_[at_])) != 0) {
      digits += static_cast<char>(points_[at_++]);
    }
    if (digits.size() < least) corrupt("a hexadecimal escape with too few digits");
    const auto value = static_cast<char32_t>(std::stoul(digits, nullptr, 16));
    if (value > kLast) corrupt("a code point above U+10FFFF");
    return value;
  }

  // At the backslash.
  Escape read_escape() {
    if (at_ + 1 == points_.size()) corrupt("a backslash at the end");
    const char32_t c = points_[at_ + 1];
    Escape out;
    const auto simple = [&](char32_t point) {
      at_ += 2;
      out.point = point;
    };
    const auto of_set = [&](CodePointSet set) {
      at_ += 2;
      out.is_literal = false;
      out.set = std::move(set);
    };
    switch (c) {
      case U'r': simple(U'\r'); break;
      case U'n': simple(U'\n'); break;
      case U't': simple(U'\t'); break;
      case U'f': simple(U'\f'); break;
      case U'v': simple(U'\v'); break;
      case U's': of_set(white_space_set()); break;
      case U'S': of_set(complement(white_space_set())); break;
      case U'd': of_set(category_set("Nd")); break;
      case U'D': of_set(complement(category_set("Nd"))); break;
      case U'p':
      case U'P':
        out.is_literal = false;
        out.set = property();
        break;
      case U'u':
        at_ += 2;
        out.point = hexadecimal(4, 4);
        break;
      case U'x':
        at_ += 2;
        if (at_ < points_.size() && points_[at_] == U'{') {
          ++at_;
          out.point = hexadecimal(1, 8);
          if (at_ == points_.size() || points_[at_] != U'}') corrupt("\\x{...} that is not closed");
          ++at_;
        } else {
          out.point = hexadecimal(2, 2);
          if (out.point >= 0x80) unsupported("\\xHH above 7F (a byte of UTF-8)");
        }
        break;
      default:
        if (c >= 0x80 || std::isalnum(static_cast<int>(c)) != 0) {
          std::string name = "\\";
          append_utf8(name, c);
          unsupported(cat("the escape \"", name, "\""));
        }
        simple(c);
    }
    return out;
  }

  // \p{L}, \P{L}, \p{^L}
  CodePointSet property() {
    bool negated = points_[at_ + 1] == U'P';
    const std::size_t begin = at_ + 2;
    std::size_t end = begin;
    while (end < points_.size() && points_[end] != U'}') ++end;
    if (begin >= points_.size() || points_[begin] != U'{' || end == points_.size()) {
      corrupt("\\p that is not followed by {name}");
    }
    std::string name;
    for (std::size_t i = begin + 1; i < end; ++i) append_utf8(name, points_[i]);
    if (name.starts_with('^')) {
      negated = !negated;
      name.erase(0, 1);
    }
    CodePointSet set = category_set(name);
    if (set.empty()) unsupported(cat("the property \"\\p{", name, "}\""));
    at_ = end + 1;
    return negated ? complement(set) : set;
  }

  // At the opening bracket.
  CodePointSet bracket_class() {
    ++at_;
    const bool negated = at_ < points_.size() && points_[at_] == U'^';
    if (negated) ++at_;
    std::vector<CodePointRange> ranges;
    for (bool first = true;; first = false) {
      if (at_ == points_.size()) corrupt("a character class that is not closed");
      const char32_t c = points_[at_];
      if (c == U']') {
        if (first) unsupported("an empty character class, or an unescaped \"]\" in one");
        ++at_;
        break;
      }
      if (c == U'[') unsupported("a character class, or an unescaped \"[\", inside a character class");
      if (looking_at(U"&&")) unsupported("the intersection \"&&\" of character classes");
      const Escape from = class_member();
      const bool range = at_ + 1 < points_.size() && points_[at_] == U'-' && points_[at_ + 1] != U']';
      if (!range) {
        if (from.is_literal) {
          ranges.push_back({from.point, from.point});
        } else {
          append(ranges, from.set);
        }
        continue;
      }
      if (!from.is_literal) unsupported("a range that begins with a class");
      ++at_;
      if (points_[at_] == U'[') unsupported("an unescaped \"[\" inside a character class");
      const Escape to = class_member();
      if (!to.is_literal) unsupported("a range that ends with a class");
      if (to.point < from.point) corrupt("a range whose end is before its beginning");
      ranges.push_back({from.point, to.point});
    }
    CodePointSet set = make_set(std::move(ranges));
    return negated ? complement(set) : set;
  }

  Escape class_member() {
    if (points_[at_] == U'\\') return read_escape();
    Escape out;
    out.point = points_[at_++];
    return out;
  }

  std::string_view pattern_;
  std::vector<char32_t> points_;
  std::size_t at_ = 0;
  std::vector<bool> caseless_;  // one entry per open group
  char32_t previous_caseless_letter_ = 0;
  bool quantifiable_ = false;
  std::vector<PatternItem> items_;
};

}  // namespace

CodePointSet make_set(std::vector<CodePointRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  CodePointSet out;
  for (const CodePointRange& range : ranges) {
    if (!out.empty() && range.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

CodePointSet complement(const CodePointSet& set) {
  CodePointSet out;
  char32_t next = 0;
  for (const CodePointRange& range : set) {
    if (range.first > next) out.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLast) out.push_back({next, kLast});
  return out;
}

bool contains(const CodePointSet& set, char32_t point) {
  const auto after =
      std::upper_bound(set.begin(), set.end(), point, [](char32_t p, const CodePointRange& r) { return p < r.first; });
  return after != set.begin() && point <= std::prev(after)->last;
}

CodePointSet category_set(std::string_view name) {
  if (name.empty() || name.size() > 2) return {};
  const auto runs = category_runs();
  std::vector<CodePointRange> ranges;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!kCategoryNames[static_cast<std::size_t>(runs[i].category)].starts_with(name)) continue;
    ranges.push_back({runs[i].first, i + 1 < runs.size() ? runs[i + 1].first - 1 : kLast});
  }
  return make_set(std::move(ranges));
}

const CodePointSet& white_space_set() {
  static const CodePointSet set(white_space().begin(), white_space().end());
  return set;
}

const CodePointSet& numeric_set() {
  static const CodePointSet set = [] {
    std::vector<CodePointRange> ranges = category_set("N");
    ranges.insert(ranges.end(), newer_numbers().begin(), newer_numbers().end());
    return make_set(std::move(ranges));
  }();
  return set;
}

const CodePointSet& word_set() {
  static const CodePointSet set = [] {
    // Joiners, and the alphabetic symbols: circled, squared and negative letters.
    std::vector<CodePointRange> ranges = {
        {0x200C, 0x200D}, {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
    for (const char* name : {"L", "M", "Nd", "Nl", "Pc"}) append(ranges, category_set(name));
    return make_set(std::move(ranges));
  }();
  return set;
}

std::vector<PatternItem> parse_pattern(std::string_view pattern) { return PatternParser(pattern).parse(); }

}  // namespace palimpsest::model
