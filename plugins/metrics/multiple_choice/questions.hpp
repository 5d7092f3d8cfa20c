// Questions with choices, gathered from rows of one choice each; and which choice wins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "palimpsest/sdk/error.hpp"
#include "palimpsest/sdk/words.hpp"

namespace palimpsest::multiple_choice {

// One row of the file.
struct Row {
  std::string_view set, question, context, choice, correct;
};

struct Question {
  std::string set, id, context;
  std::vector<std::string> choices;
  std::size_t correct = 0;
};

// "true", "1" or "yes"; "false", "0" or "no". Throws Error for another word.
inline bool truth(std::string_view word, std::string_view question) {
  if (word == "true" || word == "1" || word == "yes") return true;
  if (word == "false" || word == "0" || word == "no") return false;
  sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "question ", question, ": `correct` is \"", word,
            "\"; expected true or false");
}

// Neighbouring rows with the same set and question are one question; of each set the first `limit` are kept, in the
// file's order. Throws Error, naming the question, where one has fewer than two choices, not exactly one correct one,
// an empty context or choice, or contexts that differ.
inline std::vector<Question> gather(const std::vector<Row>& rows, std::int64_t limit) {
  std::vector<Question> all;
  std::map<std::string, std::int64_t, std::less<>> taken;  // by set
  for (std::size_t begin = 0; begin < rows.size();) {
    Question made{
        std::string(rows[begin].set), std::string(rows[begin].question), std::string(rows[begin].context), {}, 0};
    const auto bad = [&](const auto&... what) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "question ", made.id, " of the set ", made.set, ": ", what...);
    };
    std::size_t correct = 0, end = begin;
    for (; end < rows.size() && rows[end].set == made.set && rows[end].question == made.id; ++end) {
      if (rows[end].context != made.context) bad("its rows have different contexts");
      if (rows[end].choice.empty()) bad("a choice is empty");
      if (truth(rows[end].correct, made.id)) {
        made.correct = end - begin;
        ++correct;
      }
      made.choices.emplace_back(rows[end].choice);
    }
    if (made.context.empty()) bad("the context is empty");
    if (made.choices.size() < 2) bad("found one choice, expected two or more in neighbouring rows");
    if (correct != 1) bad("found ", correct, " correct choices, expected one");
    if (taken[made.set]++ < limit) all.push_back(std::move(made));
    begin = end;
  }
  return all;
}

// The place of the greatest score, of equal ones the first.
inline std::size_t best(const std::vector<double>& scores) {
  std::size_t place = 0;
  for (std::size_t i = 1; i < scores.size(); ++i) {
    if (scores[i] > scores[place]) place = i;
  }
  return place;
}

// Characters of a choice, what its log-probability is divided by; at least 1.
inline double length_of(std::string_view choice) { return static_cast<double>(sdk::count_characters(choice)); }

}  // namespace palimpsest::multiple_choice
