#include "training/rounding.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>

namespace palimpsest::training {
namespace {

// Half-words first, first + 1, ... of the stream: number k holds half-words 2 k (its lower half) and 2 k + 1.
at::Tensor half_words(const Rng& stream, std::int64_t first, std::int64_t count) {
  at::Tensor made = at::empty({count}, at::kShort);
  std::int16_t* out = made.mutable_data_ptr<std::int16_t>();
  at::parallel_for(first, first + count, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    std::array<Rng::result_type, 1024> numbers{};
    std::int64_t place = begin;
    while (place < end) {
      const std::int64_t number = place / 2;
      const std::int64_t wanted = std::min<std::int64_t>((end + 1) / 2 - number, std::ssize(numbers));
      stream.numbers(static_cast<std::uint64_t>(number), std::span(numbers).first(static_cast<std::size_t>(wanted)));
      for (const std::int64_t stop = std::min(end, 2 * (number + wanted)); place < stop; ++place) {
        const Rng::result_type held = numbers[static_cast<std::size_t>(place / 2 - number)];
        out[place - first] = static_cast<std::int16_t>(place % 2 == 0 ? held & 0xFFFF : held >> 16);
      }
    }
  });
  return made;
}

}  // namespace

void round_stochastically(const at::Tensor& values, const at::Tensor& rounded, const Rng& stream, std::int64_t first) {
  const c10::NoGradGuard no_grad;
  constexpr std::int64_t kDropped = 0xFFFF;  // the bits of a float32 that bfloat16 has not
  // Sign and magnitude: adding to the bits moves a value away from 0, past its neighbour where the dropped bits carry.
  const at::Tensor random = half_words(stream, first, values.numel()).to(values.device()).to(at::kInt);
  values.view(at::kInt).add_(random.bitwise_and(kDropped)).bitwise_and_(~kDropped);
  rounded.copy_(values);
}

}  // namespace palimpsest::training
