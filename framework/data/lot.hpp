// Which known facts are edited and which stay intrinsic, the control: drawn by lot.
//
// Drawn facts never share a name of their subject, and in each relation no intrinsic target_true equals an edited
// target_new; both hold for the draw *and* for its swap, so a paired replicate is the same draw with its sets
// exchanged. Pure functions of their arguments.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/fact.hpp"

namespace palimpsest::data {

struct Lot {
  std::vector<std::int64_t> edited;     // indices into `facts`, in the order drawn
  std::vector<std::int64_t> intrinsic;  // likewise; first those that the swap edits
  std::int64_t exchanged = 0;           // how many of `intrinsic` the swap edits
  // Places that a relation could not fill in proportion to its share of the pool and that others took: 0 when the
  // strata are exact.
  std::int64_t moved_between_relations = 0;
};

// `edited` and `intrinsic` facts of `pool` (indices into `facts`), stratified by relation in proportion to the pool.
//
// swapped = true gives the paired replicate of the same seed: min(edited, intrinsic) facts change sides each way. With
// intrinsic >= edited, the swap's edited facts are all from the draw's intrinsic set and the draw's edited facts are
// all intrinsic in the swap; the rest of the larger set stays where it is.
//
// Throws Error: kInvalidArgument for counts below zero, both zero, indices outside `facts` or twice in the pool;
// kOutOfRange, with the counts, when the pool is too small under the constraints.
Lot draw_lot(std::span<const Fact> facts, std::span<const std::int64_t> pool, std::int64_t edited,
             std::int64_t intrinsic, std::uint64_t seed, bool swapped);

struct MarginMatches {
  std::vector<std::vector<std::int64_t>> matches;  // by edited fact: indices of candidates, in order of the rounds
  std::int64_t unmatched = 0;                      // edited facts that lack a match
};

// Nearest-margin matching without replacement: `wanted` matches, as many for each edited fact. In each round every
// edited fact gets at most one candidate, and the pair with the smallest |difference| <= caliper is taken first; so
// where the last round has fewer places than facts, the nearest pairs have them. Equal differences go by edited index,
// then by candidate index. caliper may be infinite. Throws Error: kNumeric for a margin that is not a number,
// kInvalidArgument for a caliper below zero or wanted < 0.
MarginMatches match_by_margin(std::span<const double> edited, std::span<const double> candidates, double caliper,
                              std::int64_t wanted);

}  // namespace palimpsest::data
