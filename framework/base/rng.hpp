// Named streams of random numbers: the same (seed, name) gives the same numbers on every machine and in every order of
// use.
//
// A stream is Philox4x32-10 (Salmon et al. 2011) keyed by SHA-256 of seed and name, so streams never overlap by
// accident and drawing from one never moves another. Not thread-safe: one stream, one user.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace palimpsest {

class Rng {
 public:
  using result_type = std::uint32_t;

  Rng(std::uint64_t seed, std::string_view stream);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return UINT32_MAX; }
  result_type operator()();
  // Numbers `first`, `first` + 1, ... of the stream, counted from its beginning, whatever was drawn: any part of a long
  // stream, in any order, on several threads at once.
  void numbers(std::uint64_t first, std::span<result_type> out) const;

  // Uniform in [0, bound), exactly (rejection); bound > 0.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [0, 1), 53 bits.
  double uniform();
  // Standard normal (Box-Muller; one draw of two is dropped, so that every call costs the same numbers).
  double normal();

  // Fisher-Yates. std::shuffle's order is left to the library; this one is ours on every machine.
  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) {
      using std::swap;
      swap(items[i - 1], items[static_cast<std::size_t>(below(i))]);
    }
  }
  // `count` of [0, n) without repetition, in random order; count <= n.
  std::vector<std::int64_t> sample(std::int64_t n, std::int64_t count);

 private:
  void refill();

  std::array<std::uint32_t, 2> key_{};
  std::array<std::uint32_t, 4> counter_{};
  std::array<std::uint32_t, 4> block_{};
  int next_ = 4;
};

}  // namespace palimpsest
