// What metrics that read a file of their own share: the texts of a column, and the parameter that says when to measure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "palimpsest/kinds/metric.h"
#include "palimpsest/sdk/host.hpp"

namespace palimpsest::sdk {

// The parameter `when` of metrics that cost too much for every step.
inline constexpr const char* kWhenChoices[] = {"ends", "all", nullptr};
inline constexpr const char* kWhenDoc =
    "\"ends\": at base, edited and finetuned; \"all\": at the steps of fine-tuning too.";
inline std::uint32_t when_of(std::string_view when) {
  if (when == "all") return PALIMPSEST_WHEN_ALWAYS;
  return PALIMPSEST_WHEN_BASE | PALIMPSEST_WHEN_EDITED | PALIMPSEST_WHEN_FINETUNED;
}

// The texts [first, first + count) of a column, fewer where the file ends; nothing is filtered or held out. They live
// as long as the instance. Throws Error(PALIMPSEST_OUT_OF_RANGE) when the file has no row `first`.
inline std::vector<std::string_view> read_texts(const Host& host, std::string_view file, std::string_view column,
                                                std::int64_t first, std::int64_t count) {
  const Dataset rows = host.open_dataset(file, {std::string(column)}, 0, false);
  const std::int64_t available = rows.count(PALIMPSEST_TRAIN);
  if (first >= available) {
    fail(PALIMPSEST_OUT_OF_RANGE, "the first ", first, " documents of ", file, " are to be passed over, and it has ",
         available);
  }
  std::vector<std::string_view> texts;
  for (std::int64_t row = first; row < std::min(available, first + count); ++row) {
    texts.push_back(rows.text(PALIMPSEST_TRAIN, row));
  }
  return texts;
}

}  // namespace palimpsest::sdk
