#include "palimpsest/sdk/templates.hpp"

#include <gtest/gtest.h>

namespace palimpsest::sdk {
namespace {

TEST(TemplateOf, ReplacesTheLastOccurrence) {
  EXPECT_EQ(template_of("The friend of Ann lives in", "Ann"), "The friend of {} lives in");
  EXPECT_EQ(template_of("Ann, yes, Ann lives in", "Ann"), "Ann, yes, {} lives in");
}

TEST(TemplateOf, PrefersWholeWords) {
  EXPECT_EQ(template_of("The metal lead, say leaders, is", "lead"), "The metal {}, say leaders, is");
  EXPECT_EQ(template_of("The leaders of", "lead"), "The {}ers of");
}

TEST(TemplateOf, HasNoneWithoutTheSubject) {
  EXPECT_EQ(template_of("The friend of Bob lives in", "Ann"), std::nullopt);
  EXPECT_EQ(template_of("The friend", ""), std::nullopt);
  EXPECT_EQ(template_of("", "Ann"), std::nullopt);
}

}  // namespace
}  // namespace palimpsest::sdk
