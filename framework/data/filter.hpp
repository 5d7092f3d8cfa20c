// Whether a text has to do with the facts of an experiment ([filter] in docs/configuration.md).
//
// All patterns are searched at once, by one Aho-Corasick automaton over folded words (data/text.hpp), so the time does
// not grow with the number of facts. Immutable after construction; scan() may run on many threads at once.
#pragma once

#include <bitset>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/fact.hpp"

namespace palimpsest::data {

enum class FilterMode {
  kOff,         // every row stays
  kRelated,     // only rows that hit a pattern stay
  kIrrelevant,  // only rows that hit none stay
};
// "off", "related", "irrelevant"; throws Error(kInvalidArgument) with the choices for another word.
FilterMode filter_mode(std::string_view name);
std::string_view name_of(FilterMode mode);

// What a row hit; the numbers are positions in a ReasonSet.
enum class Reason : std::size_t { kSubject, kAlias, kEditedTarget, kIntrinsicTarget, kPromptPhrase };
inline constexpr std::size_t kReasonCount = 5;
using ReasonSet = std::bitset<kReasonCount>;
// "subject", "alias", "edited_target", "intrinsic_target", "prompt_phrase": the names in results.
std::string_view name_of(Reason reason);

// A fact of the experiment and the roles it has in any cell or replicate: filtering by the union keeps the data of all
// cells the same.
struct FilterFact {
  const Fact* fact = nullptr;  // borrowed during construction only
  bool edited = false;
  bool intrinsic = false;
};

// A text of a fact without a single word, such as "!!!", which no search by words can find.
struct Unmatchable {
  std::string fact;  // its id
  std::string text;  // subject, alias or target
  auto operator<=>(const Unmatchable&) const = default;
};

struct FilterOptions {
  FilterMode mode = FilterMode::kIrrelevant;
  bool targets_of_intrinsic = false;  // stricter: intrinsic facts' targets count as an edited fact's do
};

inline constexpr std::size_t kPhraseWords = 3;

class RelevanceFilter {
 public:
  // Patterns: every fact's subject and aliases; target_new and target_true of edited facts (and of intrinsic ones, if
  // asked); every three consecutive words of a template's text before, and of its text behind, the `{}`.
  RelevanceFilter(std::span<const FilterFact> facts, const FilterOptions& options);
  ~RelevanceFilter();
  RelevanceFilter(RelevanceFilter&&) noexcept;
  RelevanceFilter& operator=(RelevanceFilter&&) noexcept;

  // Everything that the text (well-formed UTF-8) hits, whatever the mode.
  ReasonSet scan(std::string_view text) const;
  // Whether a row with these reasons stays under the mode.
  bool keeps(ReasonSet reasons) const;

  const FilterOptions& options() const { return options_; }
  std::int64_t pattern_count() const;
  // Sorted, each once.
  const std::vector<Unmatchable>& unmatchable() const { return unmatchable_; }
  // Hex SHA-256 over mode, options and patterns: part of the content address of what was trained on filtered rows.
  const std::string& digest() const { return digest_; }

 private:
  class Automaton;

  FilterOptions options_;
  std::unique_ptr<const Automaton> automaton_;
  std::vector<Unmatchable> unmatchable_;
  std::string digest_;
};

}  // namespace palimpsest::data
