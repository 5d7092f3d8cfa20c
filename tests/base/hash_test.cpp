#include "base/hash.hpp"

#include <gtest/gtest.h>

namespace palimpsest {
namespace {

// FIPS 180-4 example "abc", and the empty message.
TEST(Sha256, MatchesPublishedVectors) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, PiecesEqualTheWhole) { EXPECT_EQ(Sha256().update("a").update("bc").hex(), sha256_hex("abc")); }

TEST(Sha256, FieldsDoNotRunTogether) {
  EXPECT_NE(Sha256().field("ab").field("c").hex(), Sha256().field("a").field("bc").hex());
}

}  // namespace
}  // namespace palimpsest
