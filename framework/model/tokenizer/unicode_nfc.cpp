#include "model/tokenizer/unicode_nfc.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_set>

#include "model/tokenizer/unicode_nfc_table.hpp"
#include "model/tokenizer/unicode_table.hpp"

namespace palimpsest::model {
namespace {

// Hangul syllables are leading consonant, vowel, and a trailing consonant or none, numbered in this order (Unicode
// 3.12).
constexpr char32_t kSyllables = 0xAC00;
constexpr char32_t kLeading = 0x1100;
constexpr char32_t kVowels = 0x1161;
constexpr char32_t kTrailing = 0x11A7;  // one before the first: number 0 is "none"
constexpr char32_t kLeadingCount = 19;
constexpr char32_t kVowelCount = 21;
constexpr char32_t kTrailingCount = 28;
constexpr char32_t kSyllableCount = kLeadingCount * kVowelCount * kTrailingCount;

bool is_syllable(char32_t point) { return point >= kSyllables && point < kSyllables + kSyllableCount; }

std::uint64_t pair_key(char32_t first, char32_t second) { return (std::uint64_t{first} << 32) | second; }

}  // namespace

const Nfc& Nfc::instance() {
  static const Nfc made;
  return made;
}

Nfc::Nfc() {
  std::unordered_set<char32_t> seconds;
  for (const Decomposition& d : composites()) {
    parts_.emplace(d.composed, std::pair(d.first, d.second));
    composites_.emplace(pair_key(d.first, d.second), d.composed);
    seconds.insert(d.second);
  }
  for (const Decomposition& d : excluded_decompositions()) parts_.emplace(d.composed, std::pair(d.first, d.second));

  std::vector<Kind> kinds(kCodePoints, Kind::kInert);
  const auto begins_piece = [&](char32_t point) { return combining_class(point) == 0 && !seconds.contains(point); };
  for (const auto& [point, unused] : parts_) {
    std::vector<char32_t> full;
    decompose(point, full);
    const std::vector<char32_t> again = normalise(std::span(&point, 1));
    kinds[point] = !begins_piece(full.front())                ? Kind::kDependent
                   : again == std::vector<char32_t>(1, point) ? Kind::kInert
                                                              : Kind::kChanging;
  }
  for (const char32_t point : seconds) kinds[point] = Kind::kDependent;
  for (const CombiningRun& run : combining_runs()) {
    for (char32_t point = run.first; point <= run.last; ++point) kinds[point] = Kind::kDependent;
  }
  for (char32_t v = 0; v < kVowelCount; ++v) kinds[kVowels + v] = Kind::kDependent;
  for (char32_t t = 1; t < kTrailingCount; ++t) kinds[kTrailing + t] = Kind::kDependent;

  std::map<std::array<Kind, 256>, std::uint16_t> known;
  for (std::size_t begin = 0; begin < kCodePoints; begin += 256) {
    std::array<Kind, 256> block{};
    std::copy_n(kinds.begin() + static_cast<std::ptrdiff_t>(begin), 256, block.begin());
    const auto [found, is_new] = known.try_emplace(block, static_cast<std::uint16_t>(blocks_.size()));
    if (is_new) blocks_.push_back(block);
    block_of_.push_back(found->second);
  }
}

std::size_t Nfc::first_to_look_at(std::span<const char32_t> points) const {
  const auto found =
      std::find_if(points.begin(), points.end(), [this](char32_t point) { return kind(point) != Kind::kInert; });
  return static_cast<std::size_t>(found - points.begin());
}

std::size_t Nfc::piece_end(std::span<const char32_t> points, std::size_t begin) const {
  std::size_t end = begin + 1;
  while (end < points.size() && kind(points[end]) == Kind::kDependent) ++end;
  return end;
}

void Nfc::decompose(char32_t point, std::vector<char32_t>& out) const {
  if (is_syllable(point)) {
    const char32_t number = point - kSyllables;
    out.push_back(kLeading + number / (kVowelCount * kTrailingCount));
    out.push_back(kVowels + number % (kVowelCount * kTrailingCount) / kTrailingCount);
    if (number % kTrailingCount != 0) out.push_back(kTrailing + number % kTrailingCount);
    return;
  }
  const auto found = parts_.find(point);
  if (found == parts_.end()) {
    out.push_back(point);
    return;
  }
  decompose(found->second.first, out);
  if (found->second.second != 0) decompose(found->second.second, out);
}

std::uint8_t Nfc::combining_class(char32_t point) const {
  const auto runs = combining_runs();
  const auto after = std::upper_bound(runs.begin(), runs.end(), point,
                                      [](char32_t p, const CombiningRun& run) { return p < run.first; });
  return after != runs.begin() && point <= std::prev(after)->last ? std::prev(after)->combining_class : std::uint8_t{0};
}

char32_t Nfc::compose(char32_t first, char32_t second) const {
  if (first >= kLeading && first < kLeading + kLeadingCount && second >= kVowels && second < kVowels + kVowelCount) {
    return kSyllables + ((first - kLeading) * kVowelCount + (second - kVowels)) * kTrailingCount;
  }
  if (is_syllable(first) && (first - kSyllables) % kTrailingCount == 0 && second > kTrailing &&
      second < kTrailing + kTrailingCount) {
    return first + (second - kTrailing);
  }
  const auto found = composites_.find(pair_key(first, second));
  return found == composites_.end() ? 0 : found->second;
}

std::vector<char32_t> Nfc::normalise(std::span<const char32_t> piece) const {
  std::vector<char32_t> full;
  for (const char32_t point : piece) decompose(point, full);
  std::vector<std::uint8_t> classes(full.size());
  std::transform(full.begin(), full.end(), classes.begin(), [this](char32_t p) { return combining_class(p); });
  // Canonical order: marks between two code points of class 0 stand by their class, equal ones as they stood.
  for (std::size_t begin = 0; begin < full.size();) {
    std::size_t end = begin;
    while (end < full.size() && classes[end] != 0) ++end;
    if (end - begin > 1) {
      std::vector<std::pair<std::uint8_t, char32_t>> marks;
      for (std::size_t i = begin; i < end; ++i) marks.emplace_back(classes[i], full[i]);
      std::stable_sort(marks.begin(), marks.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      for (std::size_t i = begin; i < end; ++i) std::tie(classes[i], full[i]) = marks[i - begin];
    }
    begin = end + 1;
  }
  // Composition: a code point joins the last one of class 0, unless one of no lower class stands between them.
  constexpr std::size_t kNone = ~std::size_t{0};
  std::vector<char32_t> out;
  std::size_t starter = kNone;
  std::uint8_t last_class = 0;  // of what was kept after the starter; 0: nothing was
  for (std::size_t i = 0; i < full.size(); ++i) {
    const bool adjacent = starter != kNone && starter + 1 == out.size();
    if (starter != kNone && (adjacent || (last_class != 0 && last_class < classes[i]))) {
      if (const char32_t composed = compose(out[starter], full[i])) {
        out[starter] = composed;
        continue;
      }
    }
    if (classes[i] == 0) starter = out.size();
    last_class = classes[i];
    out.push_back(full[i]);
  }
  return out;
}

}  // namespace palimpsest::model
