// The k best entries of a row of logits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace palimpsest::first_token {

// Ids of the k greatest logits, greatest first, equal ones by id; all of them when there are fewer than k.
inline std::vector<std::int64_t> most_probable(std::span<const float> logits, std::size_t k) {
  std::vector<std::int64_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto before = [&](std::int64_t a, std::int64_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  const std::size_t count = std::min(k, ids.size());
  const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(ids.begin(), middle, ids.end(), before);
  ids.resize(count);
  return ids;
}

}  // namespace palimpsest::first_token
