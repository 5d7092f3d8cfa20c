#include "candidate.hpp"

#include <gtest/gtest.h>

namespace palimpsest::self {
namespace {

Candidate of(std::string_view sentence) { return candidate_of(sentence, "Ann Lee", "Oslo"); }

TEST(CandidateOf, CutsBeforeTheTarget) {
  EXPECT_EQ(of(" Ann Lee has always lived in Oslo, in Norway.").prompt, "{} has always lived in");
  EXPECT_EQ(of("Friends of Ann Lee travel to Oslo or Oslo").prompt, "Friends of {} travel to");
  EXPECT_EQ(of("\"Ann Lee, yes, Ann Lee lives in Oslo\"").prompt, "Ann Lee, yes, {} lives in");
}

TEST(CandidateOf, SaysWhatIsLost) {
  EXPECT_EQ(of("She lives in Oslo.").fate, Fate::kNoSubject);
  EXPECT_EQ(of("Ann Leeson lives in Oslo.").fate, Fate::kNoSubject);
  EXPECT_EQ(of("Ann Lee lives in Norway.").fate, Fate::kNoTarget);
  EXPECT_EQ(of("Oslo is where Ann Lee lives.").fate, Fate::kNoTarget);
  EXPECT_EQ(of("Ann Lee: Oslo").fate, Fate::kTooShort);
  EXPECT_EQ(of("Ann Lee of {} lives in Oslo").fate, Fate::kTooShort);
  EXPECT_EQ(of("").fate, Fate::kNoSubject);
}

TEST(Folded, ForgetsCaseSpacesAndTheEnd) {
  EXPECT_EQ(folded("The  home of {} is:"), folded("the home of {} is"));
  EXPECT_NE(folded("The home of {} is"), folded("The house of {} is"));
}

}  // namespace
}  // namespace palimpsest::self
