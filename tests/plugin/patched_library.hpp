// A plugin library of the tests, and copies of it whose note says something else.
#pragma once

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "base/files.hpp"

namespace palimpsest::plugin {

inline std::string library() { return read_file(PALIMPSEST_TEST_LIBRARY); }

// The library with this text, no longer than its note's, in place of that.
inline std::string with_note(const std::string& text) {
  std::string whole = library();
  const std::size_t begin = whole.find("abi=");
  Elf64_Nhdr header{};
  const std::size_t header_at = whole.rfind("Palimpsest", begin) - sizeof header;
  std::memcpy(&header, whole.data() + header_at, sizeof header);
  EXPECT_LE(text.size(), header.n_descsz);
  whole.replace(begin, text.size(), text);
  header.n_descsz = static_cast<Elf64_Word>(text.size());
  std::memcpy(whole.data() + header_at, &header, sizeof header);
  return whole;
}

}  // namespace palimpsest::plugin
