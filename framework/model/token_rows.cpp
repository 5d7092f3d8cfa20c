#include "model/token_rows.hpp"

#include <ATen/ATen.h>

#include <algorithm>

namespace palimpsest::model {

TokenRows right_padded(const std::vector<std::span<const std::int64_t>>& rows, std::int64_t padding) {
  TokenRows padded;
  std::int64_t longest = 0;
  for (const auto& row : rows) {
    padded.lengths.push_back(static_cast<std::int64_t>(row.size()));
    longest = std::max(longest, padded.lengths.back());
  }
  padded.ids = at::full({static_cast<std::int64_t>(rows.size()), longest}, padding, at::kLong);
  std::int64_t* begin = padded.ids.mutable_data_ptr<std::int64_t>();
  for (const auto& row : rows) {
    std::copy(row.begin(), row.end(), begin);
    begin += longest;
  }
  return padded;
}

}  // namespace palimpsest::model
