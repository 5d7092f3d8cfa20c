// Where plugins may come from.
#include "plugin/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "base/files.hpp"
#include "patched_library.hpp"

namespace palimpsest::plugin {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / cat("palimpsest_registry_", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    ::chmod(folder_.c_str(), 0755);
    library_ = folder_ / "shrink.so";
    fs::copy_file(PALIMPSEST_TEST_LIBRARY, library_);
    ::chmod(library_.c_str(), 0644);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Why the one library is refused; "" where it is not.
  std::string refusal() const {
    const Registry registry({folder_}, {});
    EXPECT_EQ(registry.refused().size() + registry.ids("editor").size(), 1U);
    return registry.refused().empty() ? "" : registry.refused().front().reason;
  }
  std::string error() const {
    try {
      const Registry registry({folder_}, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  fs::path folder_, library_;
};

TEST_F(Folder, ThatOnlyItsOwnerWritesIsReadWithoutLoading) {
  const Registry registry({folder_}, {});
  EXPECT_THAT(registry.ids("editor"), ElementsAre("shrink"));
  EXPECT_THAT(registry.refused(), IsEmpty());
}

TEST_F(Folder, ThatEverybodyMayWriteToIsRefused) {
  for (const mode_t mode : {0777, 01777, 0757}) {
    ::chmod(folder_.c_str(), mode);
    EXPECT_EQ(error(), cat("the plugin folder ", folder_.string(),
                           " can be written by everybody on this machine; take that permission away (chmod o-w)"));
  }
}

TEST_F(Folder, KeepsOutALibraryThatEverybodyMayWriteTo) {
  ::chmod(library_.c_str(), 0646);
  EXPECT_EQ(refusal(), cat("the plugin library ", library_.string(),
                           " can be written by everybody on this machine; take that permission away (chmod o-w)"));
}

// What a link leads to is what is loaded.
TEST_F(Folder, KeepsOutALinkIntoAFolderThatEverybodyMayWriteTo) {
  const fs::path open = folder_ / "open";
  fs::create_directories(open);
  fs::rename(library_, open / "shrink.so");
  fs::create_symlink(open / "shrink.so", library_);
  ::chmod(open.c_str(), 0755);
  EXPECT_EQ(refusal(), "");
  ::chmod(open.c_str(), 0777);
  EXPECT_THAT(refusal(), HasSubstr(cat("the plugin folder ", open.string(), " can be written by everybody")));
}

TEST_F(Folder, IsNotSearchedBelow) {
  fs::create_directories(folder_ / "deeper");
  fs::rename(library_, folder_ / "deeper" / "shrink.so");
  EXPECT_THAT(Registry({folder_}, {}).ids("editor"), IsEmpty());
}

TEST_F(Folder, ThatIsNotThereIsAnError) {
  fs::remove_all(folder_);
  const std::string then =
      "; build the plugin that belongs there, or correct the path (plugin_path, PALIMPSEST_PLUGIN_PATH)";
  EXPECT_EQ(error(), cat("the plugin folder ", folder_.string(), " does not exist", then));
  std::ofstream(folder_) << "no folder";
  EXPECT_EQ(error(), cat("the plugin folder ", folder_.string(), " is not a folder", then));
}

TEST_F(Folder, GivesAnIdOnceAndSaysWhichLibraryIsTheSecond) {
  fs::copy_file(library_, folder_ / "twin.so");
  const Registry registry({folder_}, {});
  EXPECT_THAT(registry.ids("editor"), ElementsAre("shrink"));
  ASSERT_EQ(registry.refused().size(), 1U);
  EXPECT_EQ(registry.refused().front().reason,
            cat("two libraries have a plugin of kind editor with the id \"shrink\": ", library_.string(), " and ",
                (folder_ / "twin.so").string(), "; the first one is used, remove one"));
}

// What a refused library lists stays free for the next.
TEST_F(Folder, LetsARefusedLibraryKeepNoId) {
  const auto add = [&](const char* name, const std::string& ids) {
    write_file_atomically(folder_ / name, with_note("abi=1.1\ntier=none\nids=" + ids + "\n"));
    ::chmod((folder_ / name).c_str(), 0644);
  };
  add("a.so", "editor:a");
  add("b.so", "editor:b,editor:a");
  add("c.so", "editor:b");
  const Registry registry({folder_}, {});
  EXPECT_THAT(registry.ids("editor"), ElementsAre("a", "b", "shrink"));
  ASSERT_EQ(registry.refused().size(), 1U);
  EXPECT_EQ(registry.refused().front().path, folder_ / "b.so");
  EXPECT_EQ(registry.refused().front().reason,
            cat("two libraries have a plugin of kind editor with the id \"a\": ", (folder_ / "a.so").string(), " and ",
                (folder_ / "b.so").string(), "; the first one is used, remove one"));
}

}  // namespace
}  // namespace palimpsest::plugin
