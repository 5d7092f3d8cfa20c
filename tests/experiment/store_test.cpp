#include "experiment/store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "child.hpp"
#include "experiment/store_manifest.hpp"
#include "support/scratch.hpp"

namespace palimpsest::experiment {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

Key key_of(const std::string& name) { return KeyBuilder().add("name", name).build(); }

class StoreTest : public Scratch {
 protected:
  fs::path put(Store& store, const Key& key, const std::string& text) {
    const auto temporary = store.begin("stage", key);
    write_file_atomically(temporary / "sub" / "data.bin", text);
    write_file_atomically(temporary / "empty", "");
    return store.commit("stage", key, temporary);
  }
  struct Entry {
    fs::path folder;
    Manifest manifest;
  };
  // Everything of the kind "stage" that is committed; its manifests can be read.
  static std::vector<Entry> entries(const Store& store) {
    std::vector<Entry> found;
    const fs::path kind = store.folder() / "stage";
    if (!fs::exists(kind)) return found;
    for (const auto& item : fs::directory_iterator(kind)) {
      found.push_back({item.path(), read_manifest(item.path(), "stage", item.path().filename().string())});
    }
    return found;
  }
  // What lies in the store but entries, kept evidence and locks.
  std::size_t half_built(const Store& store) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(store.folder() / ".building"), {}));
  }
  std::string warnings_of(const std::function<void()>& action) {
    ::testing::internal::CaptureStderr();
    action();
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST(Key, DependsOnNamesTextsAndOrder) {
  const auto hex = [](auto... parts) { return (KeyBuilder().add(parts, std::string("1")), ...).build().hex; };
  EXPECT_EQ(KeyBuilder().add("a", "1").add("b", "2").build().hex, KeyBuilder().add("a", "1").add("b", "2").build().hex);
  EXPECT_NE(KeyBuilder().add("a", "1").add("b", "2").build().hex, KeyBuilder().add("b", "2").add("a", "1").build().hex);
  EXPECT_NE(KeyBuilder().add("a", "12").build().hex, KeyBuilder().add("a1", "2").build().hex);
  EXPECT_NE(hex("a"), hex("b"));
  EXPECT_NE(KeyBuilder().add("x", 0.1).build().hex, KeyBuilder().add("x", std::nextafter(0.1, 1)).build().hex);
  EXPECT_EQ(KeyBuilder().add("x", 0.1).build().ingredients[0].second, "0.1");
  EXPECT_EQ(KeyBuilder().add("x", true).build().ingredients[0].second, "true");
  EXPECT_THROW(KeyBuilder().add("a", "1").add("a", "2"), Error);
  EXPECT_THROW(KeyBuilder().add("a", "\xff"), Error);
}

TEST_F(StoreTest, WhatWasCommittedIsFound) {
  Store store(folder_ / "store");
  const auto key = key_of("one");
  EXPECT_FALSE(store.find("stage", key));
  EXPECT_FALSE(store.contains("stage", key));
  const auto entry = put(store, key, "text");
  EXPECT_EQ(store.find("stage", key), entry);
  EXPECT_TRUE(store.contains("stage", key));
  EXPECT_FALSE(store.find("other", key)) << "kinds are apart";
  EXPECT_EQ(read_file(entry / "sub" / "data.bin"), "text");
  EXPECT_EQ(half_built(store), 0u);
  const auto listed = entries(store);
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].folder, entry);
  EXPECT_EQ(listed[0].manifest.key.ingredients, key.ingredients);
  ASSERT_EQ(listed[0].manifest.files.size(), 2u);
  EXPECT_EQ(listed[0].manifest.files[0].bytes + listed[0].manifest.files[1].bytes, 4);
}

TEST_F(StoreTest, DamageIsNamedMovedAsideAndAMiss) {
  Store store(folder_ / "store");
  const auto key = key_of("one");
  const std::vector<std::pair<std::string, std::function<void(const fs::path&)>>> damages{
      {"its file sub/data.bin has sha256 " + sha256_hex("tixt") + ", expected " + sha256_hex("text"),
       [](const fs::path& entry) { std::ofstream(entry / "sub" / "data.bin") << "tixt"; }},
      {"its file sub/data.bin has 3 bytes, expected 4",
       [](const fs::path& entry) { fs::resize_file(entry / "sub" / "data.bin", 3); }},
      {"its file empty is missing", [](const fs::path& entry) { fs::remove(entry / "empty"); }},
      {"its manifest.json is missing", [](const fs::path& entry) { fs::remove(entry / "manifest.json"); }},
      {"its manifest.json is not readable",
       [](const fs::path& entry) { fs::resize_file(entry / "manifest.json", 100); }},
      {"the ingredients in its manifest.json hash to",
       [](const fs::path& entry) {
         auto text = read_file(entry / "manifest.json");
         text.replace(text.find("\"one\""), 5, "\"two\"");
         std::ofstream(entry / "manifest.json") << text;
       }},
  };
  for (const auto& [message, damage] : damages) {
    const auto entry = put(store, key, "text");
    damage(entry);
    const auto warning = warnings_of([&] { EXPECT_FALSE(store.find("stage", key)) << message; });
    EXPECT_THAT(warning, HasSubstr(message));
    EXPECT_THAT(warning, HasSubstr("will be computed again"));
    EXPECT_FALSE(fs::exists(entry));
    EXPECT_TRUE(fs::exists(store.folder() / ".damaged" / cat("stage.", key.hex)));
  }
  int computed = 0;
  for (int i = 0; i < 2; ++i) {
    store.get_or_compute("stage", key, [&](const fs::path& into) {
      ++computed;
      write_file_atomically(into / "data", "1");
    });
  }
  EXPECT_EQ(computed, 1);
}

TEST_F(StoreTest, FirstCommitWins) {
  Store store(folder_ / "store");
  const auto key = key_of("one");
  const auto first = store.begin("stage", key);
  const auto second = store.begin("stage", key);
  ASSERT_NE(first, second);
  write_file_atomically(first / "data", "first");
  write_file_atomically(second / "data", "second");
  const auto entry = store.commit("stage", key, first);
  EXPECT_EQ(store.commit("stage", key, second), entry);
  EXPECT_EQ(read_file(entry / "data"), "first");
  EXPECT_EQ(half_built(store), 0u);
  // A damaged winner gives way.
  const auto third = store.begin("stage", key);
  write_file_atomically(third / "data", "third");
  fs::resize_file(entry / "data", 1);
  warnings_of([&] { store.commit("stage", key, third); });
  EXPECT_EQ(read_file(entry / "data"), "third");
}

TEST_F(StoreTest, RefusesWhatCannotBeStored) {
  Store store(folder_ / "store");
  const auto key = key_of("one");
  EXPECT_THROW(store.begin("Bad/Kind", key), Error);
  EXPECT_THROW(store.find("", key), Error);
  EXPECT_THROW(store.commit("stage", key, folder_), Error) << "not from begin()";
  const auto temporary = store.begin("stage", key);
  fs::create_symlink("/etc/passwd", temporary / "link");
  EXPECT_THROW(store.commit("stage", key, temporary), Error);
  fs::remove(temporary / "link");
  write_file_atomically(temporary / "manifest.json", "{}");
  EXPECT_THROW(store.commit("stage", key, temporary), Error);
  EXPECT_FALSE(store.contains("stage", key));
  auto forged = key;
  forged.hex[0] = forged.hex[0] == '0' ? '1' : '0';
  EXPECT_THROW(store.commit("stage", forged, temporary), Error);
  store.abandon(temporary);
  EXPECT_EQ(half_built(store), 0u);
}

TEST_F(StoreTest, AFailedComputationStoresNothing) {
  Store store(folder_ / "store");
  const auto key = key_of("one");
  EXPECT_THROW(store.get_or_compute("stage", key,
                                    [&](const fs::path& into) {
                                      write_file_atomically(into / "half", "1");
                                      fail(ErrorCode::kNumeric, "NaN");
                                    }),
               Error);
  EXPECT_FALSE(store.contains("stage", key));
  EXPECT_EQ(half_built(store), 0u);
}

TEST_F(StoreTest, AMissNamesWhatDiffers) {
  Store store(folder_ / "store");
  const auto key = [](const std::string& text, const std::string& dtype, std::int64_t tokens) {
    return KeyBuilder().add("text file sha256", text).add("dtype", dtype).add("tokens", tokens).build();
  };
  const auto explain = [&](const Key& wanted) {
    std::string text;
    for (const auto& [ingredient, values] : store.explain_miss("stage", wanted))
      text += cat(text.empty() ? "" : "; ", ingredient, values.empty() ? "" : ": ", values);
    return text;
  };
  EXPECT_EQ(explain(key("aa", "float32", 100)), "");
  const auto first = key("aa", "float32", 100);
  put(store, first, "1");
  put(store, key("bb", "float64", 200), "2");
  EXPECT_EQ(explain(first), "");
  EXPECT_EQ(explain(key("cc", "float32", 100)), "text file sha256: stored \"aa\", wanted \"cc\"");
  EXPECT_EQ(explain(key("aa", "float16", 101)),
            "dtype: stored \"float32\", wanted \"float16\"; tokens: stored \"100\", wanted \"101\"");
  const auto other = KeyBuilder().add("text file sha256", "aa").add("dtype", "float32").add("device", "cpu").build();
  EXPECT_THAT(explain(other),
              HasSubstr("device: stored without it, wanted \"cpu\"; tokens: stored \"100\", wanted without it"));
  const auto turned =
      KeyBuilder().add("dtype", "float32").add("text file sha256", "aa").add("tokens", std::int64_t{100}).build();
  EXPECT_EQ(explain(turned), "the order of the ingredients");
  const auto text = std::string(100, 'x') + "A" + std::string(100, 'y');
  auto changed = text;
  changed[100] = 'B';
  put(store, KeyBuilder().add("long", text).build(), "3");
  const auto said = explain(KeyBuilder().add("long", changed).build());
  EXPECT_THAT(said, HasSubstr("xxxAyyy"));
  EXPECT_THAT(said, HasSubstr("xxxByyy"));
  EXPECT_LT(said.size(), 300u);
}

TEST_F(StoreTest, ManyThreadsComputeAKeyOnce) {
  Store store(folder_ / "store");
  std::atomic<int> computed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        const auto entry = store.get_or_compute("stage", key_of(std::to_string(i)), [&](const fs::path& into) {
          ++computed;
          write_file_atomically(into / "data", std::to_string(i));
        });
        EXPECT_EQ(read_file(entry / "data"), std::to_string(i));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(computed, 5);
  EXPECT_EQ(half_built(store), 0u);
}

TEST_F(StoreTest, ManyProcessesComputeAKeyOnce) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(
        std::make_unique<Child>(std::vector<std::string>{"computer", folder_.string()}, folder_ / cat("out", i)));
  }
  for (std::size_t i = 0; i < children.size(); ++i)
    EXPECT_EQ(children[i]->wait(), 0) << read_file(folder_ / cat("out", i));
  EXPECT_EQ(read_file(folder_ / "computed"), "x");
}

// The first line of a child's output, once it is whole.
std::string first_line(const fs::path& output) {
  for (int i = 0; i < 1000; ++i) {
    std::error_code error;
    if (fs::exists(output, error)) {
      const auto text = read_file(output);
      if (const auto end = text.find('\n'); end != std::string::npos) return text.substr(0, end);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ADD_FAILURE() << "no line from the child";
  return "";
}

TEST_F(StoreTest, WhatAKilledWriterLeftIsRemovedAndWhatALivingOneBuildsStays) {
  const auto at = folder_ / "store";
  Child writer({"writer", at.string()}, folder_ / "out");
  const fs::path temporary = first_line(folder_ / "out");
  {
    const Store other(at);
  }
  EXPECT_TRUE(fs::exists(temporary / "first")) << "the writer is alive";
  writer.send(SIGKILL);
  EXPECT_EQ(writer.wait(), 128 + SIGKILL);
  EXPECT_TRUE(fs::exists(temporary));
  Store store(at);
  EXPECT_FALSE(fs::exists(temporary));
  EXPECT_EQ(half_built(store), 0u);
  EXPECT_TRUE(entries(store).empty());
}

TEST_F(StoreTest, KilledAtAnyMomentAWriterLeavesNoHalfEntry) {
  std::size_t found = 0;
  for (int trial = 0; trial < 25; ++trial) {
    const auto at = folder_ / cat("store_", trial);
    const auto output = folder_ / cat("out_", trial);
    Child writer({"committer", at.string()}, output);
    EXPECT_EQ(first_line(output), "ready");
    std::this_thread::sleep_for(std::chrono::milliseconds(12 * trial));
    writer.send(SIGKILL);
    writer.wait();
    Store store(at);
    EXPECT_EQ(half_built(store), 0u);
    const auto warnings = warnings_of([&] {
      for (const auto& entry : entries(store)) {
        ++found;
        const auto i = std::stoll(entry.manifest.key.ingredients.at(0).second);
        ASSERT_TRUE(store.find("stage", entry.manifest.key));
        EXPECT_EQ(read_file(entry.folder / "sub" / "data"), std::string(20000, static_cast<char>('a' + i % 26)));
      }
    });
    EXPECT_EQ(warnings, "");
  }
  EXPECT_GT(found, 5u) << "the writers were killed before they wrote";
}

}  // namespace
}  // namespace palimpsest::experiment
