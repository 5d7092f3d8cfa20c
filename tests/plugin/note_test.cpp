// The reader of ELF files and notes on bytes that others wrote: whatever they are, it gives a note or a sentence.
#include "plugin/note.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/rng.hpp"
#include "patched_library.hpp"

namespace palimpsest::plugin {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The message, or "" where there is a note.
std::string refusal(const std::string& bytes) {
  try {
    const Note note = read_note(std::as_bytes(std::span(bytes)), "foreign.so");
    EXPECT_FALSE(note.plugins.empty());
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

void expect_sentence(const std::string& message) {
  EXPECT_THAT(message, StartsWith("foreign.so"));
  EXPECT_GE(message.size(), 30U) << message;
  EXPECT_TRUE(std::all_of(message.begin(), message.end(), [](char c) { return c >= ' ' && c <= '~'; })) << message;
}

TEST(Note, OfAPluginSaysWhatItIs) {
  const Note note = read_note(PALIMPSEST_TEST_LIBRARY);
  EXPECT_EQ(note.tier, "none");
  EXPECT_EQ(note.torch, "");
  ASSERT_EQ(note.plugins.size(), 1U);
  EXPECT_EQ(note.plugins.front().kind, "editor");
  EXPECT_EQ(note.plugins.front().id, "shrink");
}

TEST(Note, OfALibraryCutAnywhereIsASentence) {
  for (const char* path : {PALIMPSEST_TEST_LIBRARY, PALIMPSEST_TEST_LARGER_LIBRARY}) {
    const std::string whole = read_file(path);
    for (std::size_t size = 0; size < whole.size(); size += 1 + size / 64) {
      const std::string message = refusal(whole.substr(0, size));
      // The last thing in a file is its table of sections: every shorter one lacks something.
      ASSERT_NE(message, "") << size << " of " << whole.size() << " bytes were enough";
      expect_sentence(message);
    }
  }
}

// Three thousand copies with a bit flipped, most of them where the reader reads: headers, and the note itself.
TEST(Note, OfABitFlippedLibraryIsANoteOrASentence) {
  const std::string whole = library();
  const std::size_t note_at = whole.find("Palimpsest");
  ASSERT_NE(note_at, std::string::npos);
  Rng rng(1, "bits");
  int refused = 0, read = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::size_t begin = i % 3 == 0 ? 0 : i % 3 == 1 ? note_at - 12 : 0;
    const std::size_t length = i % 3 == 0 ? 64 + 56 * 12 : i % 3 == 1 ? 160 : whole.size();
    std::string copy = whole;
    char& byte = copy[begin + static_cast<std::size_t>(rng.below(std::min(length, whole.size() - begin)))];
    byte = static_cast<char>(byte ^ (1 << rng.below(8)));
    const std::string message = refusal(copy);
    (message.empty() ? read : refused) += 1;
    if (!message.empty()) expect_sentence(message);
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(read, 300);
}

// Offsets and sizes that are meant to overflow the sums made of them.
TEST(Note, OfALibraryWithHostileNumbersIsANoteOrASentence) {
  const std::string whole = library();
  const std::size_t note_at = whole.find("Palimpsest");
  Rng rng(2, "numbers");
  const std::uint64_t size = whole.size();
  const std::vector<std::uint64_t> numbers = {0,
                                              1,
                                              7,
                                              size - 1,
                                              size,
                                              size + 1,
                                              0x7fffffff,
                                              0xffffffff,
                                              std::uint64_t{1} << 63,
                                              ~std::uint64_t{0},
                                              ~std::uint64_t{0} - 11};
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string copy = whole;
    const int writes = 1 + static_cast<int>(rng.below(3));
    for (int k = 0; k < writes; ++k) {
      const bool in_note = rng.below(3) == 0;
      const std::size_t at = in_note ? note_at - 12 + 4 * rng.below(3) : 4 * rng.below((64 + 56 * 12) / 4);
      const std::uint64_t number = numbers[rng.below(numbers.size())];
      std::memcpy(copy.data() + at, &number, in_note ? 4 : 8);
    }
    const std::string message = refusal(copy);
    if (message.empty()) continue;
    expect_sentence(message);
    ++refused;
  }
  EXPECT_GT(refused, 1000);
}

TEST(Note, ThatCannotBeReadSaysWhy) {
  EXPECT_EQ(refusal(with_note("abi=1.2\ntier=none\nids=editor:a\n")), "");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"tier=none\nids=editor:a\n", "no ABI version"},
      {"abi=1\ntier=none\nids=editor:a\n", "no ABI version"},
      {"abi=99999999999.1\ntier=none\nids=editor:a\n", "no ABI version"},
      {"abi=-1.1\ntier=none\nids=editor:a\n", "no ABI version"},
      {"abi=1.2\ntier=some\nids=editor:a\n", "no tier"},
      {"abi=1.2\ntier=none\n", "no plugin ids"},
      {"abi=1.2\ntier=none\nids=\n", "no plugin ids"},
      {"abi=1.2\ntier=none\nids=editor\n", "an id without its kind"},
      {"abi=1.2\ntier=none\nids=editor:A b\n", "a kind or id that is not lower case"},
      {"abi=1.2\ntier=none\nids=editor:\x1b[2J\n", "a line that is not plain text"},
      {"abi=1.2\ntier\nids=editor:a\n", "a line without '='"},
  };
  for (const auto& [text, what] : cases) {
    const std::string message = refusal(with_note(text));
    EXPECT_THAT(message, HasSubstr("its plugin note cannot be read: " + what));
    expect_sentence(message);
  }
}

}  // namespace
}  // namespace palimpsest::plugin
