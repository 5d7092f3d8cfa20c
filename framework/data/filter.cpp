#include "data/filter.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/text.hpp"

namespace palimpsest::data {
namespace {

constexpr std::array<std::string_view, 3> kModeNames = {"off", "related", "irrelevant"};
constexpr std::array<std::string_view, kReasonCount> kReasonNames = {"subject", "alias", "edited_target",
                                                                     "intrinsic_target", "prompt_phrase"};

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93ULL;
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93ULL;
  return x ^ (x >> 32);
}

std::uint64_t hash_word(std::string_view word) {
  std::uint64_t hash = 0x9E3779B97F4A7C15ULL ^ word.size();
  while (word.size() >= 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, word.data(), 8);
    hash = mix(hash ^ eight);
    word.remove_prefix(8);
  }
  std::uint64_t rest = 0;
  std::memcpy(&rest, word.data(), word.size());
  return mix(hash ^ rest);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  for_each_word(text, [&](std::string_view word) { out.emplace_back(word); });
  return out;
}

// Open addressing from a 64-bit key to a number above 0, for keys that are looked up far more often than added. Key 0
// means an empty place, so callers' keys are never 0.
class NumberMap {
 public:
  std::uint32_t find(std::uint64_t key) const {
    if (places_.empty()) return 0;
    for (std::size_t at = mix(key) & mask_;; at = (at + 1) & mask_) {
      if (places_[at].key == key) return places_[at].value;
      if (places_[at].key == 0) return 0;
    }
  }
  void insert(std::uint64_t key, std::uint32_t value) {
    if ((count_ + 1) * 4 > places_.size()) grow();
    ++count_;
    place(key, value);
  }

 private:
  struct Place {
    std::uint64_t key = 0;
    std::uint32_t value = 0;
  };
  void place(std::uint64_t key, std::uint32_t value) {
    std::size_t at = mix(key) & mask_;
    while (places_[at].key != 0) at = (at + 1) & mask_;
    places_[at] = {key, value};
  }
  void grow() {
    std::vector<Place> old(std::max<std::size_t>(64, places_.size() * 2));
    old.swap(places_);
    mask_ = places_.size() - 1;
    for (const Place& p : old) {
      if (p.key != 0) place(p.key, p.value);
    }
  }

  std::vector<Place> places_;
  std::size_t mask_ = 0, count_ = 0;
};

}  // namespace

FilterMode filter_mode(std::string_view name) {
  for (std::size_t i = 0; i < kModeNames.size(); ++i) {
    if (kModeNames[i] == name) return static_cast<FilterMode>(i);
  }
  fail(ErrorCode::kInvalidArgument, "filter: found \"", name, "\", expected off, related or irrelevant",
       did_you_mean(name, kModeNames));
}

std::string_view name_of(FilterMode mode) { return kModeNames[static_cast<std::size_t>(mode)]; }

std::string_view name_of(Reason reason) { return kReasonNames[static_cast<std::size_t>(reason)]; }

// Words are numbered from 1 as patterns bring them; a word of no pattern is 0 and always leads back to the root. States
// are the trie's nodes; an edge is found by (state, word). Node 0 is the root.
class RelevanceFilter::Automaton {
 public:
  using Patterns = std::map<std::vector<std::string>, ReasonSet>;

  explicit Automaton(const Patterns& patterns) : count_(static_cast<std::int64_t>(patterns.size())) {
    nodes_.emplace_back();
    std::vector<std::vector<std::pair<std::uint32_t, std::uint32_t>>> children(1);  // (word, node)
    for (const auto& [words, reasons] : patterns) {
      std::uint32_t state = 0;
      for (const auto& word : words) {
        const std::uint32_t number = add_word(word);
        std::uint32_t next = edges_.find(edge(state, number));
        if (next == 0) {
          next = static_cast<std::uint32_t>(nodes_.size());
          nodes_.emplace_back();
          children.emplace_back();
          children[state].emplace_back(number, next);
          edges_.insert(edge(state, number), next);
        }
        state = next;
      }
      nodes_[state].reasons |= reasons;
    }
    // Breadth first: a node's fallback is nearer to the root, so it is finished before the node.
    std::vector<std::uint32_t> queue = {0};
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const std::uint32_t parent = queue[i];
      for (const auto& [word, child] : children[parent]) {
        nodes_[child].fallback = parent == 0 ? 0 : step(nodes_[parent].fallback, word);
        nodes_[child].reasons |= nodes_[nodes_[child].fallback].reasons;
        queue.push_back(child);
      }
    }
  }

  ReasonSet scan(std::string_view text) const {
    ReasonSet found;
    std::uint32_t state = 0;
    for_each_word(text, [&](std::string_view word) {
      const std::uint32_t number = find_word(word);
      state = number == 0 ? 0 : step(state, number);
      found |= nodes_[state].reasons;
    });
    return found;
  }

  std::int64_t count() const { return count_; }

 private:
  struct Node {
    std::uint32_t fallback = 0;
    ReasonSet reasons;
  };

  // Never 0, since words count from 1.
  static std::uint64_t edge(std::uint32_t state, std::uint32_t word) { return (std::uint64_t{state} << 32) | word; }

  std::uint32_t step(std::uint32_t state, std::uint32_t word) const {
    while (true) {
      const std::uint32_t next = edges_.find(edge(state, word));
      if (next != 0 || state == 0) return next;
      state = nodes_[state].fallback;
    }
  }

  std::uint32_t find_word(std::string_view word) const {
    for (std::uint64_t key = hash_word(word) | 1;; key += 2) {
      const std::uint32_t number = word_numbers_.find(key);
      if (number == 0 || words_[number - 1] == word) return number;
    }
  }

  std::uint32_t add_word(const std::string& word) {
    if (const std::uint32_t number = find_word(word); number != 0) return number;
    std::uint64_t key = hash_word(word) | 1;
    while (word_numbers_.find(key) != 0) key += 2;
    words_.push_back(word);
    word_numbers_.insert(key, static_cast<std::uint32_t>(words_.size()));
    return static_cast<std::uint32_t>(words_.size());
  }

  std::vector<std::string> words_;
  NumberMap word_numbers_;  // by hash; words of equal hashes stand at the next odd keys
  NumberMap edges_;
  std::vector<Node> nodes_;
  std::int64_t count_;
};

RelevanceFilter::RelevanceFilter(std::span<const FilterFact> facts, const FilterOptions& options) : options_(options) {
  Automaton::Patterns patterns;
  std::set<Unmatchable> without_words;
  const auto add = [&](const Fact& fact, const std::string& text, Reason reason) {
    if (text.empty()) return;
    auto words = words_of(text);
    if (words.empty()) {
      without_words.insert({fact.id, text});
    } else {
      patterns[std::move(words)].set(static_cast<std::size_t>(reason));
    }
  };
  for (const FilterFact& item : facts) {
    const Fact& fact = *item.fact;
    add(fact, fact.subject, Reason::kSubject);
    for (const auto& alias : fact.aliases) add(fact, alias, Reason::kAlias);
    if (item.edited) {
      add(fact, fact.target_new, Reason::kEditedTarget);
      add(fact, fact.target_true, Reason::kEditedTarget);
    }
    if (item.intrinsic && options.targets_of_intrinsic) {
      add(fact, fact.target_new, Reason::kIntrinsicTarget);
      add(fact, fact.target_true, Reason::kIntrinsicTarget);
    }
    const auto [before, behind] = literal_parts(fact.prompt);
    for (const std::string_view part : {before, behind}) {
      const auto words = words_of(part);
      for (std::size_t i = 0; i + kPhraseWords <= words.size(); ++i) {
        patterns[{words.begin() + static_cast<std::ptrdiff_t>(i),
                  words.begin() + static_cast<std::ptrdiff_t>(i + kPhraseWords)}]
            .set(static_cast<std::size_t>(Reason::kPromptPhrase));
      }
    }
  }
  unmatchable_.assign(without_words.begin(), without_words.end());
  Sha256 hash;
  hash.field(name_of(options.mode)).field(options.targets_of_intrinsic ? "1" : "0");
  for (const auto& [words, reasons] : patterns) {
    hash.field(reasons.to_string());
    for (const auto& word : words) hash.field(word);
  }
  digest_ = hash.hex();
  automaton_ = std::make_unique<const Automaton>(patterns);
}

RelevanceFilter::~RelevanceFilter() = default;
RelevanceFilter::RelevanceFilter(RelevanceFilter&&) noexcept = default;
RelevanceFilter& RelevanceFilter::operator=(RelevanceFilter&&) noexcept = default;

ReasonSet RelevanceFilter::scan(std::string_view text) const { return automaton_->scan(text); }

bool RelevanceFilter::keeps(ReasonSet reasons) const {
  switch (options_.mode) {
    case FilterMode::kOff: return true;
    case FilterMode::kRelated: return reasons.any();
    case FilterMode::kIrrelevant: return reasons.none();
  }
  return true;
}

std::int64_t RelevanceFilter::pattern_count() const { return automaton_->count(); }

}  // namespace palimpsest::data
