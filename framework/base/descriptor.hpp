// File descriptors that are closed with the objects that hold them.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.hpp"

namespace palimpsest {

class Descriptor {
 public:
  Descriptor() = default;
  // Takes it over; a negative number is none.
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  // As open(2), closed in programs that are started; whether it could be opened says is_open(), and why not errno.
  Descriptor(const std::filesystem::path& path, int flags, mode_t mode = 0)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : descriptor_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  bool is_open() const { return descriptor_ >= 0; }
  // -1: none.
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }
  void close() {
    if (is_open()) ::close(release());
  }

 private:
  int descriptor_ = -1;
};

// What is written at one end is read at the other.
struct Pipe {
  Descriptor reading;
  Descriptor writing;
};

// Both ends are closed in programs that are started; `flags` as of pipe2(2). Throws Error(kIo).
inline Pipe make_pipe(int flags = 0) {
  int ends[2];
  if (::pipe2(ends, flags | O_CLOEXEC) != 0) fail(ErrorCode::kIo, "cannot make a pipe: ", std::strerror(errno));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

}  // namespace palimpsest
