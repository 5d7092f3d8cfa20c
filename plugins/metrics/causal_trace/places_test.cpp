#include "places.hpp"

#include <gtest/gtest.h>

namespace palimpsest::causal_trace {
namespace {

TEST(CausalTracePlaces, SubjectIsEveryTokenWithAByteOfIt) {
  // "The Space Needle is in": the space before a word belongs to its token; a BOS of no bytes stands first.
  const std::vector<std::pair<std::size_t, std::size_t>> offsets = {{0, 0},   {0, 3},   {3, 9},  {9, 13},
                                                                    {13, 16}, {16, 19}, {19, 22}};
  const Range subject = subject_tokens(offsets, 4, 16);
  EXPECT_EQ(subject.begin, 2);
  EXPECT_EQ(subject.end, 5);
  const char* wanted[] = {"before_subject", "before_subject",   "first_subject", "middle_subject",
                          "last_subject",   "first_subsequent", "last"};
  for (std::int64_t i = 0; i < 7; ++i) EXPECT_EQ(token_class(i, subject, 7), wanted[i]) << i;
  const Range none = subject_tokens(offsets, 30, 35);
  EXPECT_EQ(none.begin, none.end);
}

TEST(CausalTracePlaces, EndsComeFirstWhereClassesMeet) {
  EXPECT_EQ(token_class(1, {1, 2}, 4), "last_subject") << "a subject of one token";
  EXPECT_EQ(token_class(2, {1, 2}, 3), "last") << "one token behind the subject";
  EXPECT_EQ(token_class(3, {1, 2}, 5), "further");
  EXPECT_EQ(token_class(2, {1, 3}, 3), "last_subject") << "the prompt ends with its subject";
}

// The authors': range(max(0, layer - w // 2), min(layers, layer - (-w // 2))).
TEST(CausalTracePlaces, WindowsAreTheAuthors) {
  const auto expect = [](std::int64_t layer, std::int64_t width, std::int64_t begin, std::int64_t end) {
    const Range window = window_around(layer, width, 48);
    EXPECT_EQ(window.begin, begin);
    EXPECT_EQ(window.end, end);
  };
  expect(20, 10, 15, 25);
  expect(2, 10, 0, 7);
  expect(47, 10, 42, 48);
  expect(20, 5, 18, 23);
  expect(20, 1, 20, 21);
  EXPECT_EQ(scaled_window(48), 10);
  EXPECT_EQ(scaled_window(30), 6);
  EXPECT_EQ(scaled_window(32), 7);
  EXPECT_EQ(scaled_window(2), 1);
}

}  // namespace
}  // namespace palimpsest::causal_trace
