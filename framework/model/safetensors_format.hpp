// What reader and writer of safetensors have in common: a header's length (8 bytes), the header (JSON), the data.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace palimpsest::model {

// The format is little-endian and views hand out the file's own bytes.
static_assert(std::endian::native == std::endian::little);

inline constexpr std::size_t kLengthBytes = 8;
inline constexpr std::uint64_t kMaxHeader = 100'000'000;
inline constexpr std::string_view kMetadata = "__metadata__";

}  // namespace palimpsest::model
