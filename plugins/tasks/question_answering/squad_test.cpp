// Cases worked by hand from the definition: lower case, no ASCII punctuation, no articles, words between white space.
#include "squad.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace palimpsest::question_answering {
namespace {

using Words = std::vector<std::string>;

TEST(SquadWords, LoseCasePunctuationAndArticles) {
  EXPECT_EQ(squad_words("The  Eiffel Tower!"), (Words{"eiffel", "tower"}));
  EXPECT_EQ(squad_words("an apple, a day"), (Words{"apple", "day"}));
  EXPECT_EQ(squad_words("don't"), (Words{"dont"}));
  EXPECT_EQ(squad_words("state-of-the-art"), (Words{"stateoftheart"}));
  EXPECT_EQ(squad_words("U.S.A."), (Words{"usa"}));
  EXPECT_EQ(squad_words("3.14"), (Words{"314"}));
  EXPECT_EQ(squad_words("$1,000"), (Words{"1000"}));
}

// Articles go as whole words, and after punctuation: "the-" is "the" by then, "A." is "a".
TEST(SquadWords, TakeArticlesAsWholeWords) {
  EXPECT_EQ(squad_words("theory of another anthem"), (Words{"theory", "of", "another", "anthem"}));
  EXPECT_EQ(squad_words("the the a an"), Words{});
  EXPECT_EQ(squad_words("A."), Words{});
  EXPECT_EQ(squad_words("the- end"), (Words{"end"}));
  EXPECT_EQ(squad_words("vitamin A"), (Words{"vitamin"}));
  EXPECT_EQ(squad_words("thé"), (Words{"thé"}));
  EXPECT_EQ(squad_words("plan a\tb"), (Words{"plan", "b"}));
}

TEST(SquadWords, LowerLettersBeyondAscii) {
  EXPECT_EQ(squad_words("ÉCOLE Ÿ Łódź ŽIŽEK"), (Words{"école", "ÿ", "łódź", "žižek"}));
  EXPECT_EQ(squad_words("ΑΘΗΝΑ МОСКВА Ёж"), (Words{"αθηνα", "москва", "ёж"}));
  EXPECT_EQ(squad_words("5 × 3"), (Words{"5", "×", "3"}));
}

TEST(SquadExactMatch, ComparesWords) {
  EXPECT_TRUE(exact_match("The Norman conquest.", "norman Conquest"));
  EXPECT_TRUE(exact_match("a the", ""));
  EXPECT_FALSE(exact_match("Norman", "Normans"));
}

TEST(SquadF1, CountsEveryWordAsOftenAsItStands) {
  // Answer "in the Black Sea": in, black, sea; expected "Black Sea": precision 2/3, recall 1, F1 0.8.
  EXPECT_DOUBLE_EQ(f1("in the Black Sea", "Black Sea"), 0.8);
  // Precision 1/3, recall 1/2: F1 0.4. The second "ha" finds no partner.
  EXPECT_DOUBLE_EQ(f1("ha ha ha", "ha no"), 0.4);
  EXPECT_DOUBLE_EQ(f1("one two", "three"), 0);
  EXPECT_DOUBLE_EQ(f1("The answer", "answer!"), 1);
}

TEST(SquadF1, OfNothing) {
  EXPECT_DOUBLE_EQ(f1("", ""), 1);
  EXPECT_DOUBLE_EQ(f1("the", "a"), 1);
  EXPECT_DOUBLE_EQ(f1("the", "answer"), 0);
  EXPECT_DOUBLE_EQ(f1("answer", ""), 0);
}

}  // namespace
}  // namespace palimpsest::question_answering
