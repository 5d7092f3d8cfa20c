#include "data/packing.hpp"

#include "base/error.hpp"
#include "base/rng.hpp"

namespace palimpsest::data {

std::span<const std::int64_t> Blocks::block(std::int64_t index) const {
  if (index < 0 || index >= count()) {
    fail(ErrorCode::kOutOfRange, "block ", index, " was asked for, expected 0 to ", count() - 1);
  }
  return std::span(ids).subspan(static_cast<std::size_t>(index * block_size), static_cast<std::size_t>(block_size));
}

Blocks pack(std::span<const std::vector<std::int64_t>> documents, const PackOptions& options) {
  if (options.block_size < 1) {
    fail(ErrorCode::kInvalidArgument, "block size: found ", options.block_size, ", expected 1 or more tokens");
  }
  if (options.place != SeparatorPlace::kNone && options.separator < 0) {
    fail(ErrorCode::kInvalidArgument, "separator: found token id ", options.separator,
         ", expected an id of 0 or more; a model without such a token packs without separator");
  }
  std::vector<std::size_t> order(documents.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (options.seed) Rng(*options.seed, "packing").shuffle(order);

  Blocks out;
  out.block_size = options.block_size;
  for (const std::size_t i : order) {
    const auto& document = documents[i];
    if (document.empty()) continue;
    out.ids.insert(out.ids.end(), document.begin(), document.end());
    if (options.place == SeparatorPlace::kBehind) out.ids.push_back(options.separator);
  }
  const auto tokens = static_cast<std::int64_t>(out.ids.size());
  out.dropped = tokens % options.block_size;
  if (tokens < options.block_size) {
    fail(ErrorCode::kOutOfRange, "the ", documents.size(), " documents have ", tokens,
         " tokens together, expected at least ", "one block of ", options.block_size,
         "; give more text or a smaller block");
  }
  out.ids.resize(static_cast<std::size_t>(tokens - out.dropped));
  return out;
}

}  // namespace palimpsest::data
