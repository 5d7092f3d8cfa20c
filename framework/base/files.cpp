#include "base/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/descriptor.hpp"
#include "base/error.hpp"

namespace palimpsest {
namespace {

[[noreturn]] void fail_errno(std::string_view what, const std::filesystem::path& path) {
  const int number = errno;
  fail(number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, "cannot ", what, " ", path.string(), ": ",
       std::strerror(number));
}

void sync_folder_of(const std::filesystem::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const Descriptor directory(folder, O_RDONLY | O_DIRECTORY);
  if (!directory.is_open() || ::fsync(directory.get()) != 0) fail_errno("sync folder", folder);
}

}  // namespace

std::string read_file(const std::filesystem::path& path, std::size_t limit) {
  const Descriptor file(path, O_RDONLY);
  if (!file.is_open()) fail_errno("read", path);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) fail_errno("read", path);
  if (!S_ISREG(status.st_mode)) fail(ErrorCode::kIo, "cannot read ", path.string(), ": it is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > limit) {
    fail(ErrorCode::kInvalidArgument, path.string(), " has ", size, " bytes; at most ", limit, " are accepted here");
  }
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file.get(), text.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno("read", path);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  text.resize(done);
  return text;
}

std::filesystem::path temporary_beside(const std::filesystem::path& path) {
  static std::atomic<unsigned> counter{0};
  auto name = path;
  name += cat(".", ::getpid(), ".", counter.fetch_add(1), ".tmp");
  return name;
}

void commit_file(const std::filesystem::path& temporary, const std::filesystem::path& path) {
  {
    const Descriptor file(temporary, O_RDONLY);
    if (!file.is_open() || ::fsync(file.get()) != 0) fail_errno("sync", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail_errno("write", path);
  sync_folder_of(path);
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  if (path.has_parent_path()) {
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) fail(ErrorCode::kIo, "cannot create folder ", path.parent_path().string(), ": ", error.message());
  }
  const auto temporary = temporary_beside(path);
  try {
    Descriptor file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!file.is_open()) fail_errno("write", path);
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t put = ::write(file.get(), bytes.data() + done, bytes.size() - done);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) fail_errno("write", path);
      done += static_cast<std::size_t>(put);
    }
    // Some file systems report a full disk only here.
    if (::close(file.release()) != 0) fail_errno("write", path);
    commit_file(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

FileLock::FileLock(const std::filesystem::path& path) {
  Descriptor file(path, O_RDWR | O_CREAT, 0644);
  if (!file.is_open()) fail_errno("lock", path);
  while (::flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR) fail_errno("lock", path);
  }
  descriptor_ = file.release();
}

FileLock FileLock::try_lock(const std::filesystem::path& path) {
  Descriptor file(path, O_RDWR | O_CREAT, 0644);
  if (!file.is_open()) fail_errno("lock", path);
  FileLock lock;
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
    lock.descriptor_ = file.release();
  } else if (errno != EWOULDBLOCK) {
    fail_errno("lock", path);
  }
  return lock;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const Descriptor file(path, O_RDONLY);
  if (!file.is_open()) fail_errno("read", path);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) fail_errno("read", path);
  if (!S_ISREG(status.st_mode)) fail(ErrorCode::kIo, "cannot read ", path.string(), ": it is not a regular file");
  if (status.st_size == 0) fail(ErrorCode::kCorrupt, path.string(), " is empty");
  size_ = static_cast<std::size_t>(status.st_size);
  data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data_ == MAP_FAILED) {
    data_ = nullptr;
    fail_errno("map", path);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace palimpsest
