// Documents of token ids to blocks of one length, as causal language modelling trains on them.
//
// Documents are joined in the order of the seed, a separator between them if asked, and cut; only the tail shorter than
// a block is lost. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace palimpsest::data {

enum class SeparatorPlace {
  kNone,
  kBehind,  // behind every document: an EOS
};

struct PackOptions {
  std::int64_t block_size = 0;  // tokens, 1 or more
  SeparatorPlace place = SeparatorPlace::kNone;
  std::int64_t separator = -1;  // token id; not read when place is kNone
  // Shuffles the documents by this seed; nothing = file order.
  std::optional<std::uint64_t> seed = std::nullopt;
};

struct Blocks {
  std::vector<std::int64_t> ids;  // count() * block_size
  std::int64_t block_size = 0;
  std::int64_t dropped = 0;  // tokens of the tail, separators included; below block_size

  std::int64_t count() const { return block_size == 0 ? 0 : static_cast<std::int64_t>(ids.size()) / block_size; }
  std::span<const std::int64_t> block(std::int64_t index) const;  // throws Error(kOutOfRange)
};

// A document without tokens gets no separator. Throws Error: kInvalidArgument for a block size below 1 or a separator
// below 0; kOutOfRange, with the counts, when the documents do not fill one block.
Blocks pack(std::span<const std::vector<std::int64_t>> documents, const PackOptions& options);

}  // namespace palimpsest::data
