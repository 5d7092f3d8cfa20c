// Files that are whole or absent, and locks between processes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace palimpsest {

// The whole file. Throws Error: kNotFound, kIo (a folder, no permission), or kInvalidArgument above `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::size_t limit = std::size_t{1} << 32);

// Writes beside the name, fsyncs, renames, fsyncs the folder: readers see the old bytes or all of the new ones, also
// after a kill or a full disk. Creates missing folders. Throws Error(kIo).
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// A name beside `path` that no other process or thread uses, for writers that build a file in place before
// commit_file(temporary, path) makes it durable under its name.
std::filesystem::path temporary_beside(const std::filesystem::path& path);
void commit_file(const std::filesystem::path& temporary, const std::filesystem::path& path);

// An exclusive flock(2) on `path` (created if missing), held until destruction; freed by the kernel when the process
// dies.
class FileLock {
 public:
  // Waits until the lock is free.
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;

  // A lock if it is free now; a lock for which held() is false otherwise.
  static FileLock try_lock(const std::filesystem::path& path);
  bool held() const { return descriptor_ >= 0; }

 private:
  FileLock() = default;
  int descriptor_ = -1;
};

// A file mapped read-only; its bytes live as long as the object. Throws Error for a missing, empty or unmappable file.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace palimpsest
