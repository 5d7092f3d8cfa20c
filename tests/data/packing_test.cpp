#include "data/packing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/rng.hpp"
#include "support/error_of.hpp"

namespace palimpsest::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Documents = std::vector<std::vector<std::int64_t>>;

TEST(Packing, JoinsAndCuts) {
  const Documents documents = {{1, 2, 3}, {}, {4, 5}, {6, 7, 8}};
  const Blocks plain = pack(documents, {.block_size = 3});
  EXPECT_THAT(plain.ids, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(plain.count(), 2);
  EXPECT_EQ(plain.dropped, 2);
  EXPECT_THAT(plain.block(1), ElementsAre(4, 5, 6));
  message_of(ErrorCode::kOutOfRange, [&] { plain.block(2); });
  EXPECT_THAT(pack(documents, {.block_size = 4, .place = SeparatorPlace::kBehind, .separator = 0}).ids,
              ElementsAre(1, 2, 3, 0, 4, 5, 0, 6));
}

TEST(Packing, LosesNothingButTheTail) {
  Rng rng(1, "packing test");
  for (int trial = 0; trial < 300; ++trial) {
    Documents documents(1 + rng.below(12));
    std::int64_t next = 1, separators = 0;
    std::map<std::int64_t, std::size_t> document_of;
    for (std::size_t d = 0; d < documents.size(); ++d) {
      for (std::uint64_t n = rng.below(9); n > 0; --n) {
        document_of[next] = d;
        documents[d].push_back(next++);
      }
      separators += documents[d].empty() ? 0 : 1;
    }
    const auto place = rng.below(2) == 0 ? SeparatorPlace::kNone : SeparatorPlace::kBehind;
    if (place == SeparatorPlace::kNone) separators = 0;
    const std::int64_t total = next - 1 + separators;
    PackOptions options{.block_size = 1, .place = place, .separator = 0};
    if (rng.below(2) == 1) options.seed = rng.below(1000);
    if (total == 0) continue;
    const Blocks whole = pack(documents, options);  // blocks of 1: nothing is a tail
    ASSERT_EQ(whole.dropped, 0);
    ASSERT_EQ(static_cast<std::int64_t>(whole.ids.size()), total);
    // Every token once; a document's tokens stay together and in order.
    std::map<std::int64_t, int> seen;
    std::int64_t before = 0;
    for (const auto id : whole.ids) {
      ++seen[id];
      if (id != 0 && before != 0 && document_of[id] == document_of[before]) {
        ASSERT_EQ(id, before + 1);
      }
      if (place != SeparatorPlace::kNone && id != 0 && before != 0) {
        ASSERT_EQ(document_of[id], document_of[before]);
      }
      before = id;
    }
    for (std::int64_t id = 1; id < next; ++id) ASSERT_EQ(seen[id], 1);
    ASSERT_EQ(seen[0], separators);
    options.block_size = static_cast<std::int64_t>(1 + rng.below(static_cast<std::uint64_t>(total)));
    const Blocks cut = pack(documents, options);
    ASSERT_LT(cut.dropped, options.block_size);
    ASSERT_EQ(cut.count() * cut.block_size + cut.dropped, total);
    ASSERT_TRUE(std::equal(cut.ids.begin(), cut.ids.end(), whole.ids.begin()));
  }
}

TEST(Packing, OrderFollowsTheSeed) {
  Documents documents;
  for (std::int64_t i = 0; i < 50; ++i) documents.push_back({i});
  const PackOptions file{.block_size = 5};
  PackOptions seven = file, eight = file;
  seven.seed = 7;
  eight.seed = 8;
  EXPECT_EQ(pack(documents, seven).ids, pack(documents, seven).ids);
  EXPECT_NE(pack(documents, seven).ids, pack(documents, eight).ids);
  EXPECT_NE(pack(documents, seven).ids, pack(documents, file).ids);
}

TEST(Packing, Refuses) {
  const Documents documents = {{1, 2, 3}};
  EXPECT_THAT(message_of(ErrorCode::kOutOfRange, [&] { pack(documents, {.block_size = 4}); }),
              HasSubstr("the 1 documents have 3 tokens together, expected at least one block of 4"));
  message_of(ErrorCode::kInvalidArgument, [&] { pack(documents, {.block_size = 0}); });
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument,
                         [&] { pack(documents, {.block_size = 1, .place = SeparatorPlace::kBehind}); }),
              HasSubstr("separator: found token id -1"));
}

}  // namespace
}  // namespace palimpsest::data
