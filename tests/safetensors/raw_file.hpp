// Bytes of a safetensors file built by hand.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace palimpsest::model {

// Header length, header, data: the file as the format has it, right or wrong.
inline std::string raw_file(std::string_view header, std::string_view data) {
  const std::uint64_t size = header.size();
  std::string file(sizeof(size), '\0');
  std::memcpy(file.data(), &size, sizeof(size));
  return file.append(header).append(data);
}

}  // namespace palimpsest::model
