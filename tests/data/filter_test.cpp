#include "data/filter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "base/rng.hpp"
#include "data/text.hpp"
#include "support/error_of.hpp"

namespace palimpsest::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Fact fact(const std::string& subject, const std::string& prompt, const std::string& target_new,
          const std::string& target_true, std::vector<std::string> aliases = {}) {
  Fact f;
  f.subject = subject;
  f.prompt = prompt;
  f.target_new = target_new;
  f.target_true = target_true;
  f.aliases = std::move(aliases);
  return f;
}

ReasonSet reasons(std::initializer_list<Reason> list) {
  ReasonSet set;
  for (const Reason r : list) set.set(static_cast<std::size_t>(r));
  return set;
}

class FilterOfTwo : public ::testing::Test {
 protected:
  FilterOfTwo() {
    facts_.push_back(fact("New Holland", "The seat of government of {} is in", "Lisbon", "Perth", {"Terra Australis"}));
    facts_.push_back(fact("gold", "{} has the chemical symbol", "Fe", "Au"));
    roles_ = {{&facts_[0], true, false}, {&facts_[1], false, true}};
  }
  RelevanceFilter make(FilterMode mode = FilterMode::kIrrelevant, bool strict = false) const {
    return RelevanceFilter(roles_, {mode, strict});
  }

  std::vector<Fact> facts_;
  std::vector<FilterFact> roles_;
};

TEST_F(FilterOfTwo, FindsWholeWordsOnly) {
  const auto filter = make();
  EXPECT_EQ(filter.scan("He sailed to NEW  holland."), reasons({Reason::kSubject}));
  EXPECT_EQ(filter.scan("new,holland"), reasons({Reason::kSubject}));
  EXPECT_EQ(filter.scan("New Hollander"), reasons({}));
  EXPECT_EQ(filter.scan("Holland is new"), reasons({}));
  EXPECT_EQ(filter.scan("golden marigold"), reasons({}));
  EXPECT_EQ(filter.scan("gold's price"), reasons({Reason::kSubject}));
  EXPECT_EQ(filter.scan("a map of terra australis and Lisbon"), reasons({Reason::kAlias, Reason::kEditedTarget}));
  EXPECT_EQ(filter.scan(""), reasons({}));
}

TEST_F(FilterOfTwo, PhrasesAreThreeWordsOnOneSideOfTheSubject) {
  const auto filter = make();
  EXPECT_EQ(filter.scan("the seat of a chair"), reasons({Reason::kPromptPhrase}));
  EXPECT_EQ(filter.scan("a seat of Government"), reasons({Reason::kPromptPhrase}));
  EXPECT_EQ(filter.scan("the seat. Of course"), reasons({Reason::kPromptPhrase})) << "punctuation does not part words";
  EXPECT_EQ(filter.scan("government of it is in"), reasons({}));
  EXPECT_EQ(filter.scan("of is in"), reasons({})) << "no phrase runs over the subject";
  EXPECT_EQ(filter.scan("the chemical element"), reasons({}));
  EXPECT_EQ(filter.scan("each has the chemical formula"), reasons({Reason::kPromptPhrase}));
}

TEST_F(FilterOfTwo, TargetsCountByRole) {
  EXPECT_EQ(make().scan("Fe and Au, Perth"), reasons({Reason::kEditedTarget}));
  EXPECT_EQ(make(FilterMode::kIrrelevant, true).scan("Fe and Au"), reasons({Reason::kIntrinsicTarget}));
}

TEST_F(FilterOfTwo, ModesKeep) {
  const ReasonSet hit = reasons({Reason::kAlias}), none;
  EXPECT_TRUE(make(FilterMode::kOff).keeps(hit) && make(FilterMode::kOff).keeps(none));
  EXPECT_TRUE(make(FilterMode::kRelated).keeps(hit) && !make(FilterMode::kRelated).keeps(none));
  EXPECT_TRUE(!make(FilterMode::kIrrelevant).keeps(hit) && make(FilterMode::kIrrelevant).keeps(none));
}

TEST_F(FilterOfTwo, DigestFollowsPatternsAndOptions) {
  const std::string digest = make().digest();
  EXPECT_EQ(digest, make().digest());
  EXPECT_NE(digest, make(FilterMode::kRelated).digest());
  EXPECT_NE(digest, make(FilterMode::kIrrelevant, true).digest());
  facts_[0].aliases.push_back("Oz");
  EXPECT_NE(digest, make().digest());
}

TEST(Filter, NamesAreChecked) {
  EXPECT_EQ(filter_mode("related"), FilterMode::kRelated);
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument, [] { filter_mode("irelevant"); }),
              HasSubstr("expected off, related or irrelevant (did you mean \"irrelevant\"?)"));
}

TEST(Filter, TextsWithoutWordsAreReported) {
  Fact band = fact("!!!", "The band {} plays", "punk rock", "");
  band.id = "genre-1";
  const FilterFact role{&band, true, false};
  const RelevanceFilter filter(std::span(&role, 1), {});
  EXPECT_THAT(filter.unmatchable(), ElementsAre(Unmatchable{"genre-1", "!!!"}));
  EXPECT_TRUE(filter.scan("!!! ???").none());
  EXPECT_TRUE(filter.scan("all Punk-Rock").any());
}

TEST(Filter, NoFactsHitNothing) {
  const RelevanceFilter filter({}, {});
  EXPECT_TRUE(filter.scan("any text at all").none());
  EXPECT_EQ(filter.pattern_count(), 0);
}

// The definition, word by word: a pattern is hit where its words stand in a row.
bool naive_hit(const std::vector<std::string>& text, const std::vector<std::string>& pattern) {
  if (pattern.empty()) return false;
  for (std::size_t i = 0; i + pattern.size() <= text.size(); ++i) {
    if (std::equal(pattern.begin(), pattern.end(), text.begin() + static_cast<std::ptrdiff_t>(i))) return true;
  }
  return false;
}

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> out;
  for_each_word(text, [&](std::string_view word) { out.emplace_back(word); });
  return out;
}

ReasonSet naive_scan(const std::string& text, const std::vector<FilterFact>& facts, bool strict) {
  const auto words = split_words(text);
  ReasonSet set;
  const auto look = [&](const std::vector<std::string>& pattern, Reason reason) {
    if (naive_hit(words, pattern)) set.set(static_cast<std::size_t>(reason));
  };
  for (const auto& item : facts) {
    look(split_words(item.fact->subject), Reason::kSubject);
    for (const auto& alias : item.fact->aliases) look(split_words(alias), Reason::kAlias);
    for (const auto* target : {&item.fact->target_new, &item.fact->target_true}) {
      if (item.edited) look(split_words(*target), Reason::kEditedTarget);
      if (item.intrinsic && strict) look(split_words(*target), Reason::kIntrinsicTarget);
    }
    const std::size_t hole = item.fact->prompt.find("{}");
    for (const auto& part : {item.fact->prompt.substr(0, hole), item.fact->prompt.substr(hole + 2)}) {
      const auto literal = split_words(part);
      for (std::size_t i = 0; i + 3 <= literal.size(); ++i) {
        look({literal[i], literal[i + 1], literal[i + 2]}, Reason::kPromptPhrase);
      }
    }
  }
  return set;
}

TEST(Filter, EqualsTheNaiveSearchOnRandomText) {
  Rng rng(11, "filter");
  // Few words, so that patterns overlap, nest and share prefixes and suffixes.
  const std::vector<std::string> vocabulary = {"a",
                                               "B",
                                               "aa",
                                               "ab",
                                               "Ba",
                                               "\xC3\x89t\xC3\xA9",
                                               "e\xCC\x81te\xCC\x81",
                                               "9",
                                               "longer-word",
                                               "\xE6\x9D\xB1\xE4\xBA\xAC"};
  const auto text_of = [&](std::uint64_t most) {
    std::string out;
    for (std::uint64_t n = 1 + rng.below(most); n > 0; --n) {
      if (!out.empty()) out += rng.below(4) == 0 ? ", " : " ";
      out += vocabulary[rng.below(vocabulary.size())];
    }
    return out;
  };
  std::set<unsigned long> seen;
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<Fact> facts;
    for (std::uint64_t n = 1 + rng.below(6); n > 0; --n) {
      facts.push_back(
          fact(text_of(5), text_of(6) + " {} " + text_of(6), text_of(4), rng.below(2) ? text_of(4) : "", {text_of(5)}));
    }
    std::vector<FilterFact> roles;
    for (const auto& f : facts) roles.push_back({&f, rng.below(2) == 1, rng.below(2) == 1});
    const bool strict = rng.below(2) == 1;
    const RelevanceFilter filter(roles, {FilterMode::kIrrelevant, strict});
    for (int i = 0; i < 30; ++i) {
      const std::string text = text_of(12);
      const ReasonSet found = filter.scan(text);
      ASSERT_EQ(found, naive_scan(text, roles, strict)) << text;
      seen.insert(found.to_ulong());
    }
  }
  EXPECT_GT(seen.size(), 12u) << "the trial must see many combinations of reasons";
}

// The work must not grow with the number of patterns: with 200 times as many, one scan per pattern would take 200 times
// as long.
TEST(Filter, TimeDoesNotGrowWithThePatterns) {
  Rng rng(12, "speed");
  const auto make_facts = [&](int count) {
    std::vector<Fact> facts;
    for (int i = 0; i < count; ++i) {
      facts.push_back(fact(cat("Person", rng.below(100000), " Family", i),
                           "The " + cat("w", rng.below(500)) + " of the {} is", cat("Town", i), cat("City", i)));
    }
    return facts;
  };
  std::string text;
  while (text.size() < (4u << 20)) {
    text += rng.below(9) == 0 ? "the" : cat("w", rng.below(3000));
    text += ' ';
  }
  text += "Town5";
  const auto seconds = [&](const std::vector<Fact>& facts) {
    std::vector<FilterFact> roles;
    for (const auto& f : facts) roles.push_back({&f, true, false});
    const RelevanceFilter filter(roles, {});
    double best = 1e9;
    for (int i = 0; i < 3; ++i) {
      const auto start = std::chrono::steady_clock::now();
      EXPECT_EQ(filter.scan(text), reasons({Reason::kEditedTarget})) << "the last word";
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
  };
  const double few = seconds(make_facts(20)), many = seconds(make_facts(4000));
  RecordProperty("megabytes_per_second", cat(static_cast<double>(text.size()) / 1e6 / many));
  std::printf("filter: %.0f MB/s with 20 facts, %.0f MB/s with 4000\n", static_cast<double>(text.size()) / 1e6 / few,
              static_cast<double>(text.size()) / 1e6 / many);
  EXPECT_LT(many, 20 * few);
}

}  // namespace
}  // namespace palimpsest::data
