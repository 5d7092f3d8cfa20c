// Sizes that plugins in the field depend on: a change here without a change of the ABI's number breaks them silently.
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "palimpsest/palimpsest.h"

namespace palimpsest {
namespace {

struct Layout {
  const char* name;
  std::size_t size;
  std::size_t expected;
};

#define LAYOUT(type, expected) {#type, sizeof(type), expected}

TEST(Layout, OfAbi_0_2) {
  ASSERT_EQ(PALIMPSEST_ABI_MAJOR, 0);
  ASSERT_EQ(PALIMPSEST_ABI_MINOR, 2) << "write down the new layout below";
  const Layout layouts[] = {
      LAYOUT(palimpsest_text, 16),
      LAYOUT(palimpsest_column, 48),
      LAYOUT(palimpsest_cell_value, 40),
      LAYOUT(palimpsest_host, 24),
      LAYOUT(palimpsest_parameter_value, 72),
      LAYOUT(palimpsest_parameter, 136),
      LAYOUT(palimpsest_descriptor, 72),
      LAYOUT(palimpsest_library_v1, 48),
      LAYOUT(palimpsest_model_info, 48),
      LAYOUT(palimpsest_edit_request, 64),
      LAYOUT(palimpsest_update_sink, 32),
      LAYOUT(palimpsest_editor_v1, 8),
      LAYOUT(palimpsest_editor_needs_v1, 8),
      LAYOUT(palimpsest_editor_state_v1, 24),
      LAYOUT(palimpsest_measure_request, 56),
      LAYOUT(palimpsest_metric_v1, 24),
      LAYOUT(palimpsest_finetune_task_v1, 48),
      LAYOUT(palimpsest_finetune_task_loss_v1, 16),
      LAYOUT(palimpsest_augmenter_v1, 8),
      LAYOUT(palimpsest_parameter_info, 64),
      LAYOUT(palimpsest_recorded_update, 48),
      LAYOUT(palimpsest_freeze_sink, 24),
      LAYOUT(palimpsest_freeze_policy_v1, 8),
      LAYOUT(palimpsest_replacement, 64),
      LAYOUT(palimpsest_override, 40),
      LAYOUT(palimpsest_forward_request, 168),
      LAYOUT(palimpsest_forward_result, 40),
      LAYOUT(palimpsest_model_v1, 40),
      LAYOUT(palimpsest_generation_request, 72),
  };
  for (const auto& layout : layouts) EXPECT_EQ(layout.size, layout.expected) << layout.name;
}

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
