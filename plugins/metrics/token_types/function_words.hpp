// The English function words that token_types knows: articles and determiners, pronouns, prepositions, conjunctions,
// auxiliaries with their contractions, negation, and adverbs of degree and place that carry no content. The list is
// part of the definition of the class and changes only with the metric's version.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace palimpsest::token_types {

// Sorted by bytes, lower case.
inline constexpr std::array<std::string_view, 245> kFunctionWords = {
    "a",         "about",      "above",     "across",   "after",      "again",      "against",   "all",       "almost",
    "along",     "already",    "also",      "although", "always",     "am",         "among",     "amongst",   "an",
    "and",       "another",    "any",       "anybody",  "anyone",     "anything",   "are",       "aren't",    "around",
    "as",        "at",         "be",        "because",  "been",       "before",     "behind",    "being",     "below",
    "beneath",   "beside",     "besides",   "between",  "beyond",     "both",       "but",       "by",        "can",
    "can't",     "cannot",     "could",     "couldn't", "despite",    "did",        "didn't",    "do",        "does",
    "doesn't",   "doing",      "don't",     "down",     "during",     "each",       "either",    "enough",    "even",
    "ever",      "every",      "everybody", "everyone", "everything", "except",     "few",       "fewer",     "for",
    "from",      "had",        "hadn't",    "half",     "has",        "hasn't",     "have",      "haven't",   "having",
    "he",        "he'll",      "he's",      "hence",    "her",        "here",       "hers",      "herself",   "him",
    "himself",   "his",        "how",       "however",  "i",          "i'll",       "i'm",       "i've",      "if",
    "in",        "inside",     "into",      "is",       "isn't",      "it",         "it's",      "its",       "itself",
    "just",      "least",      "less",      "like",     "many",       "may",        "me",        "might",     "mine",
    "more",      "most",       "much",      "must",     "my",         "myself",     "near",      "neither",   "never",
    "no",        "nobody",     "none",      "nor",      "not",        "nothing",    "now",       "of",        "off",
    "on",        "once",       "one",       "oneself",  "only",       "onto",       "or",        "other",     "ought",
    "our",       "ours",       "ourselves", "out",      "outside",    "over",       "past",      "per",       "quite",
    "rather",    "several",    "shall",     "she",      "she'll",     "she's",      "should",    "shouldn't", "since",
    "so",        "some",       "somebody",  "someone",  "something",  "still",      "such",      "than",      "that",
    "that's",    "the",        "their",     "theirs",   "them",       "themselves", "then",      "there",     "there's",
    "therefore", "these",      "they",      "they'll",  "they're",    "they've",    "this",      "those",     "though",
    "through",   "throughout", "thus",      "till",     "to",         "too",        "toward",    "towards",   "under",
    "unless",    "until",      "up",        "upon",     "us",         "very",       "via",       "was",       "wasn't",
    "we",        "we'll",      "we're",     "we've",    "were",       "weren't",    "what",      "whatever",  "when",
    "whenever",  "where",      "whereas",   "wherever", "whether",    "which",      "whichever", "while",     "who",
    "whoever",   "whom",       "whose",     "why",      "will",       "with",       "within",    "without",   "won't",
    "would",     "wouldn't",   "yet",       "you",      "you'll",     "you're",     "you've",    "your",      "yours",
    "yourself",  "yourselves"};
static_assert(std::is_sorted(kFunctionWords.begin(), kFunctionWords.end()));

// `word` in lower case.
constexpr bool is_function_word(std::string_view word) {
  return std::binary_search(kFunctionWords.begin(), kFunctionWords.end(), word);
}

}  // namespace palimpsest::token_types
