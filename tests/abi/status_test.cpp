// The constants that both sides of the contract know by another name.
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "palimpsest/palimpsest.h"

namespace palimpsest {
namespace {

// The statuses of the ABI are the host's error codes.
TEST(Status, NumbersAreTheHosts) {
  EXPECT_EQ(PALIMPSEST_INVALID_ARGUMENT, static_cast<int>(ErrorCode::kInvalidArgument));
  EXPECT_EQ(PALIMPSEST_NOT_FOUND, static_cast<int>(ErrorCode::kNotFound));
  EXPECT_EQ(PALIMPSEST_OUT_OF_RANGE, static_cast<int>(ErrorCode::kOutOfRange));
  EXPECT_EQ(PALIMPSEST_UNSUPPORTED, static_cast<int>(ErrorCode::kUnsupported));
  EXPECT_EQ(PALIMPSEST_CORRUPT, static_cast<int>(ErrorCode::kCorrupt));
  EXPECT_EQ(PALIMPSEST_IO, static_cast<int>(ErrorCode::kIo));
  EXPECT_EQ(PALIMPSEST_NUMERIC, static_cast<int>(ErrorCode::kNumeric));
  EXPECT_EQ(PALIMPSEST_CANCELLED, static_cast<int>(ErrorCode::kCancelled));
  EXPECT_EQ(PALIMPSEST_OUT_OF_MEMORY, static_cast<int>(ErrorCode::kOutOfMemory));
  EXPECT_EQ(PALIMPSEST_INTERNAL, static_cast<int>(ErrorCode::kInternal));
}

}  // namespace
}  // namespace palimpsest
