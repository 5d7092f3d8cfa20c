#include "types.hpp"

#include <gtest/gtest.h>

namespace palimpsest::token_types {
namespace {

const Answers kAnswers = {"New York", "Rome", {"Paris", "New Delhi", "New", "Eternal City"}};

TEST(TypeOf, TakesTheFirstThatMatches) {
  EXPECT_EQ(type_of(" New York, which", kAnswers), Type::kTargetNew);
  EXPECT_EQ(type_of(" Rome.", kAnswers), Type::kTargetTrue);
  EXPECT_EQ(type_of(" New Delhi", kAnswers), Type::kOtherTarget);
  EXPECT_EQ(type_of(" Eternal City", kAnswers), Type::kOtherTarget);
  EXPECT_EQ(type_of(" Berlin", kAnswers), Type::kCapitalised);
  EXPECT_EQ(type_of(" The city", kAnswers), Type::kCapitalised);
  EXPECT_EQ(type_of(" the city of Rome", kAnswers), Type::kFunctionWord);
  EXPECT_EQ(type_of(" it's Rome", kAnswers), Type::kFunctionWord);
  EXPECT_EQ(type_of(" located in Rome", kAnswers), Type::kOther);
  EXPECT_EQ(type_of(" 1984", kAnswers), Type::kOther);
  EXPECT_EQ(type_of("", kAnswers), Type::kOther);
  EXPECT_EQ(type_of(" , Rome", kAnswers), Type::kOther);
}

TEST(TypeOf, WantsWholeWords) {
  EXPECT_EQ(type_of(" Romeo", kAnswers), Type::kCapitalised);
  EXPECT_EQ(type_of(" New Yorkers", kAnswers), Type::kOtherTarget);  // "New" is a target of the relation
  EXPECT_EQ(type_of(" theatre", kAnswers), Type::kOther);
}

TEST(TypeOf, PassesOverLeadingSpacesAndQuotes) {
  EXPECT_EQ(type_of("\n\n \"Rome\"", kAnswers), Type::kTargetTrue);
  EXPECT_EQ(type_of(" \u201CNew York\u201D", kAnswers), Type::kTargetNew);
}

TEST(TypeOf, WithoutATrueTarget) { EXPECT_EQ(type_of(" Rome", {"Oslo", "", {}}), Type::kCapitalised); }

TEST(IsCapitalised, KnowsAccentsGreekAndCyrillic) {
  for (const char* word : {"Zagreb", "Ährenfeld", "Śląsk", "Čapek", "Žižka", "Αθήνα", "Москва", "Ÿ"}) {
    EXPECT_TRUE(is_capitalised(word)) << word;
  }
  for (const char* word : {"zagreb", "ähre", "śląsk", "čapek", "žižka", "αθήνα", "москва", "7up", "×", ""}) {
    EXPECT_FALSE(is_capitalised(word)) << word;
  }
}

TEST(FirstWord, KeepsHyphensAndApostrophesInside) {
  EXPECT_EQ(first_word("well-known man"), "well-known");
  EXPECT_EQ(first_word("don't go"), "don't");
  EXPECT_EQ(first_word("it' "), "it");
  EXPECT_EQ(first_word(", it"), "");
  EXPECT_EQ(first_word("日本"), "日本");
}

TEST(FunctionWords, AreInLowerCase) {
  for (const std::string_view word : kFunctionWords) EXPECT_FALSE(is_capitalised(word)) << word;
  EXPECT_TRUE(is_function_word("of"));
  EXPECT_FALSE(is_function_word("city"));
}

}  // namespace
}  // namespace palimpsest::token_types
