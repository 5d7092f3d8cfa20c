// SHA-256 (FIPS 180-4, by OpenSSL): what content addresses and provenance are made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace palimpsest {

// An open digest. update() in any number of pieces, then one hex() or digest(), which end it.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& update(const void* bytes, std::size_t size);
  Sha256& update(std::string_view text) { return update(text.data(), text.size()); }
  // Length first, then the bytes: fields so added cannot run into each other.
  Sha256& field(std::string_view text);

  std::array<std::uint8_t, 32> digest();
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
// Throws Error(kIo) naming the file when it cannot be read.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace palimpsest
