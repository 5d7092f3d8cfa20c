#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tokenizer/pattern.hpp"

#include <pcre2.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/error.hpp"
#include "model/tokenizer/bytes.hpp"
#include "model/tokenizer/classes.hpp"

namespace palimpsest::model {
namespace {

constexpr std::size_t kJitStackStart = std::size_t{32} << 10;
constexpr std::size_t kJitStackLimit = std::size_t{64} << 20;

// What a match needs beside the code; one per thread, because neither may be shared.
struct MatchState {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(kJitStackStart, kJitStackLimit, nullptr);

  MatchState() {
    if (data == nullptr || context == nullptr) fail(ErrorCode::kOutOfMemory, "no memory for PCRE2's match data");
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~MatchState() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;
};

MatchState& match_state() {
  thread_local MatchState state;
  return state;
}

std::string pcre_message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

void append_symbol(std::string& out, std::size_t symbol) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\x";
  out += kDigits[symbol >> 4];
  out += kDigits[symbol & 15];
}

// The groups of code points that no set of `sets` tells apart, numbered from 0.
struct Groups {
  std::vector<CodePointRange> ranges;  // covers all code points, sorted
  std::vector<std::size_t> group;      // of each range
  std::size_t count = 0;
  std::vector<std::vector<bool>> members;  // by group, then set
};

Groups group_code_points(const std::vector<const CodePointSet*>& sets) {
  std::vector<char32_t> cuts = {0, kCodePoints};
  for (const CodePointSet* set : sets) {
    for (const CodePointRange& range : *set) {
      cuts.push_back(range.first);
      cuts.push_back(range.last + 1);
    }
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  Groups out;
  std::map<std::vector<bool>, std::size_t> numbers;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    std::vector<bool> signature(sets.size());
    for (std::size_t s = 0; s < sets.size(); ++s) signature[s] = contains(*sets[s], cuts[i]);
    const auto [found, is_new] = numbers.try_emplace(signature, numbers.size());
    if (is_new) out.members.push_back(std::move(signature));
    out.ranges.push_back({cuts[i], cuts[i + 1] - 1});
    out.group.push_back(found->second);
  }
  out.count = numbers.size();
  return out;
}

}  // namespace

struct SplitPattern::Code {
  pcre2_code* code = nullptr;
  bool has_jit = false;

  Code() = default;
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

SplitPattern::SplitPattern(std::string_view pattern, bool literal) : code_(std::make_unique<Code>()) {
  std::vector<PatternItem> items;
  if (literal) {
    for (const char32_t c : decode_utf8(pattern).points) items.emplace_back(CodePointSet{{c, c}});
  } else {
    items = parse_pattern(pattern);
  }
  std::vector<const CodePointSet*> sets;
  for (const PatternItem& item : items) {
    const auto* set = std::get_if<CodePointSet>(&item);
    if (set == nullptr) continue;
    const auto same = [&](const CodePointSet* other) { return *other == *set; };
    if (std::none_of(sets.begin(), sets.end(), same)) sets.push_back(set);
  }
  const Groups groups = group_code_points(sets);
  if (groups.count > 256) {
    fail(ErrorCode::kUnsupported, "the pattern tells ", groups.count,
         " groups of characters apart; at most 256 are supported: ", pattern);
  }

  std::string written;
  for (const PatternItem& item : items) {
    if (const auto* syntax = std::get_if<std::string>(&item)) {
      written += *syntax;
      continue;
    }
    const auto& set = std::get<CodePointSet>(item);
    const auto at = std::find_if(sets.begin(), sets.end(), [&](const CodePointSet* other) { return *other == set; });
    const auto index = static_cast<std::size_t>(at - sets.begin());
    std::string members;
    for (std::size_t g = 0; g < groups.count; ++g) {
      if (groups.members[g][index]) append_symbol(members, g);
    }
    written += members.empty() ? "(?!)" : "[" + members + "]";
  }

  std::array<std::uint8_t, 256> block{};
  std::map<std::array<std::uint8_t, 256>, std::uint16_t> known;
  std::size_t range = 0;
  for (char32_t point = 0; point < kCodePoints; ++point) {
    if (point > groups.ranges[range].last) ++range;
    block[point & 0xFF] = static_cast<std::uint8_t>(groups.group[range]);
    if ((point & 0xFF) != 0xFF) continue;
    const auto [found, is_new] = known.try_emplace(block, static_cast<std::uint16_t>(blocks_.size()));
    if (is_new) blocks_.push_back(block);
    block_of_.push_back(found->second);
  }

  int error = 0;
  PCRE2_SIZE place = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(written.data()), written.size(), PCRE2_NEVER_UTF, &error,
                              &place, nullptr);
  if (code_->code == nullptr) {
    fail(ErrorCode::kCorrupt, "the pattern is not a regular expression (", pcre_message(error), "): ", pattern);
  }
  std::uint32_t matches_empty = 0;
  pcre2_pattern_info(code_->code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0)
    fail(ErrorCode::kUnsupported, "a pattern that matches the empty text is not supported: ", pattern);
  code_->has_jit = pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE) == 0;
}

SplitPattern::~SplitPattern() = default;

// Calls take(begin, end, is_match) for each piece in turn.
template <typename Take>
void SplitPattern::each_piece(std::span<const char32_t> points, Take&& take) const {
  if (points.empty()) return;
  std::vector<std::uint8_t> symbols(points.size());
  std::transform(points.begin(), points.end(), symbols.begin(), [this](char32_t point) { return symbol(point); });
  MatchState& state = match_state();
  const PCRE2_SIZE* found = pcre2_get_ovector_pointer(state.data);
  std::size_t done = 0;
  while (done < symbols.size()) {
    const int status =
        code_->has_jit
            ? pcre2_jit_match(code_->code, symbols.data(), symbols.size(), done, 0, state.data, state.context)
            : pcre2_match(code_->code, symbols.data(), symbols.size(), done, 0, state.data, state.context);
    if (status == PCRE2_ERROR_NOMATCH) break;
    if (status < 0) fail(ErrorCode::kInternal, "the pre-tokenizer's pattern failed on a text: ", pcre_message(status));
    if (found[0] > done) take(done, found[0], false);
    take(found[0], found[1], true);
    done = found[1];
  }
  if (done < symbols.size()) take(done, symbols.size(), false);
}

void SplitPattern::split(std::span<const char32_t> points, std::size_t base, std::vector<PieceRange>& out) const {
  each_piece(points, [&](std::size_t begin, std::size_t end, bool) { out.push_back({base + begin, base + end}); });
}

void SplitPattern::find(std::span<const char32_t> points, std::vector<MatchedRange>& out) const {
  each_piece(points,
             [&](std::size_t begin, std::size_t end, bool is_match) { out.push_back({{begin, end}, is_match}); });
}

void SplitPattern::split(std::span<const char32_t> points, std::size_t base, SplitBehaviour behaviour, bool invert,
                         std::vector<PieceRange>& out) const {
  if (behaviour == SplitBehaviour::kIsolated) {
    split(points, base, out);
    return;
  }
  thread_local std::vector<MatchedRange> pieces;
  pieces.clear();
  find(points, pieces);
  // Whether a piece joins the one before it; among delimiters in a row, the one next to the text joins.
  const auto is_delimiter = [&](std::size_t i) { return pieces[i].is_match != invert; };
  const auto joins_previous = [&](std::size_t i) {
    switch (behaviour) {
      case SplitBehaviour::kMergedWithPrevious: return is_delimiter(i) && !is_delimiter(i - 1);
      case SplitBehaviour::kMergedWithNext: return is_delimiter(i - 1) && !is_delimiter(i);
      case SplitBehaviour::kContiguous: return is_delimiter(i) == is_delimiter(i - 1);
      default: return false;
    }
  };
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (behaviour == SplitBehaviour::kRemoved && is_delimiter(i)) continue;
    const PieceRange& range = pieces[i].range;
    if (i > 0 && joins_previous(i)) {
      out.back().end = base + range.end;
    } else {
      out.push_back({base + range.begin, base + range.end});
    }
  }
}

}  // namespace palimpsest::model
