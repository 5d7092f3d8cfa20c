#include "base/files.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.hpp"

namespace palimpsest {
namespace {

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / cat("palimpsest_files_", ::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(Files, WriteThenReadGivesTheSameBytes) {
  const auto path = folder_ / "new" / "file.txt";
  write_file_atomically(path, "one");
  write_file_atomically(path, "two");
  EXPECT_EQ(read_file(path), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}), 1) << "a temporary was left";
}

TEST_F(Files, RefusedWriteLeavesNothingBehind) {
  // A name that is a folder refuses the rename, as a full disk refuses the write before it.
  const auto path = folder_ / "taken";
  std::filesystem::create_directories(path / "inside");
  EXPECT_THROW(write_file_atomically(path, "text"), Error);
  EXPECT_TRUE(std::filesystem::exists(path / "inside"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1) << "a temporary was left";
}

TEST_F(Files, ReadingSaysWhatIsWrong) {
  try {
    read_file(folder_ / "missing.toml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("missing.toml"), std::string::npos);
  }
  EXPECT_THROW(read_file(folder_), Error);
  write_file_atomically(folder_ / "large", std::string(100, 'x'));
  EXPECT_THROW(read_file(folder_ / "large", 99), Error);
}

TEST_F(Files, LockIsExclusive) {
  const auto path = folder_ / "lock";
  {
    const FileLock lock(path);
    EXPECT_FALSE(FileLock::try_lock(path).held());
  }
  EXPECT_TRUE(FileLock::try_lock(path).held());
}

TEST_F(Files, MappedFileShowsTheBytes) {
  write_file_atomically(folder_ / "data", "abc");
  const MappedFile file(folder_ / "data");
  EXPECT_EQ(file.bytes().size(), 3u);
  EXPECT_EQ(std::to_integer<char>(file.bytes()[1]), 'b');
  write_file_atomically(folder_ / "empty", "");
  EXPECT_THROW(MappedFile(folder_ / "empty"), Error);
}

}  // namespace
}  // namespace palimpsest
