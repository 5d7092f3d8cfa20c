#include "base/hash.hpp"

#include <openssl/evp.h>

#include <fstream>
#include <vector>

#include "base/error.hpp"

namespace palimpsest {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() {
    if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) {
      fail(ErrorCode::kInternal, "OpenSSL offers no SHA-256");
    }
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(const void* bytes, std::size_t size) {
  if (EVP_DigestUpdate(state_->context, bytes, size) != 1) fail(ErrorCode::kInternal, "SHA-256 update failed");
  return *this;
}

Sha256& Sha256::field(std::string_view text) {
  std::uint64_t size = text.size();
  std::array<std::uint8_t, 8> little_endian{};
  for (auto& byte : little_endian) {
    byte = static_cast<std::uint8_t>(size & 0xff);
    size >>= 8;
  }
  return update(little_endian.data(), little_endian.size()).update(text);
}

std::array<std::uint8_t, 32> Sha256::digest() {
  std::array<std::uint8_t, 32> bytes{};
  if (EVP_DigestFinal_ex(state_->context, bytes.data(), nullptr) != 1) fail(ErrorCode::kInternal, "SHA-256 failed");
  return bytes;
}

std::string Sha256::hex() {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest()) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string sha256_hex(std::string_view text) { return Sha256().update(text).hex(); }

std::string sha256_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(ErrorCode::kIo, "cannot read ", path.string());
  Sha256 hash;
  std::vector<char> buffer(std::size_t{1} << 20);
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hash.update(buffer.data(), static_cast<std::size_t>(in.gcount()));
  }
  if (in.bad()) fail(ErrorCode::kIo, "reading ", path.string(), " failed part way");
  return hash.hex();
}

}  // namespace palimpsest
