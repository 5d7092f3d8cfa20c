#include "base/rng.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <string>

#include "base/error.hpp"
#include "base/hash.hpp"

namespace palimpsest {
namespace {

std::uint32_t word_at(const std::array<std::uint8_t, 32>& bytes, std::size_t i) {
  return static_cast<std::uint32_t>(bytes[4 * i]) | static_cast<std::uint32_t>(bytes[4 * i + 1]) << 8 |
         static_cast<std::uint32_t>(bytes[4 * i + 2]) << 16 | static_cast<std::uint32_t>(bytes[4 * i + 3]) << 24;
}

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> x, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * x[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * x[2];
    x = {static_cast<std::uint32_t>(p1 >> 32) ^ x[1] ^ key[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ x[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return x;
}

}  // namespace

Rng::Rng(std::uint64_t seed, std::string_view stream) {
  const auto bytes = Sha256().field(std::to_string(seed)).field(stream).digest();
  key_ = {word_at(bytes, 0), word_at(bytes, 1)};
  counter_ = {0, 0, word_at(bytes, 2), word_at(bytes, 3)};
}

void Rng::refill() {
  block_ = philox(counter_, key_);
  if (++counter_[0] == 0) ++counter_[1];
  next_ = 0;
}

Rng::result_type Rng::operator()() {
  if (next_ == 4) refill();
  return block_[static_cast<std::size_t>(next_++)];
}

void Rng::numbers(std::uint64_t first, std::span<result_type> out) const {
  std::uint64_t block = first / 4;
  std::size_t within = static_cast<std::size_t>(first % 4), done = 0;
  for (; done < out.size(); ++block, within = 0) {
    const auto drawn = philox(
        {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), counter_[2], counter_[3]}, key_);
    for (; within < 4 && done < out.size(); ++within) out[done++] = drawn[within];
  }
}

std::uint64_t Rng::below(std::uint64_t bound) {
  if (bound == 0) fail(ErrorCode::kInternal, "Rng::below(0)");
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  for (;;) {
    const std::uint64_t high = (*this)();
    const std::uint64_t draw = high << 32 | (*this)();
    if (draw < limit) return draw % bound;
  }
}

double Rng::uniform() {
  const std::uint64_t high = (*this)() >> 5;
  const std::uint64_t low = (*this)() >> 6;
  return static_cast<double>(high << 26 | low) * 0x1.0p-53;
}

double Rng::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<std::int64_t> Rng::sample(std::int64_t n, std::int64_t count) {
  if (count < 0 || count > n) fail(ErrorCode::kOutOfRange, "cannot draw ", count, " of ", n, " without repetition");
  std::vector<std::int64_t> items(static_cast<std::size_t>(n));
  std::iota(items.begin(), items.end(), std::int64_t{0});
  for (std::int64_t i = 0; i < count; ++i) {
    const auto j = i + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(n - i)));
    std::swap(items[static_cast<std::size_t>(i)], items[static_cast<std::size_t>(j)]);
  }
  items.resize(static_cast<std::size_t>(count));
  return items;
}

}  // namespace palimpsest
