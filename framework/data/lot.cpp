#include "data/lot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/rng.hpp"
#include "data/text.hpp"

namespace palimpsest::data {
namespace {

// What a drawn fact does in the draw and in its swap.
enum Slot : std::size_t {
  kEditedThenIntrinsic,
  kIntrinsicThenEdited,
  kAlwaysIntrinsic,
  kAlwaysEdited,
  kSlots,
};
constexpr int kAttempts = 200;

bool edited_in(std::size_t slot, bool swapped) {
  return slot == kAlwaysEdited || slot == (swapped ? kIntrinsicThenEdited : kEditedThenIntrinsic);
}

// Whether some replicate has x edited while y is intrinsic.
bool opposed(std::size_t x, std::size_t y) {
  return (edited_in(x, false) && !edited_in(y, false)) || (edited_in(x, true) && !edited_in(y, true));
}

struct Candidate {
  std::int64_t fact;
  std::size_t relation;
  std::vector<std::size_t> names;  // of subject and aliases, interned
  std::size_t target_new, target_true;
};

struct Pool {
  std::vector<Candidate> candidates;
  std::size_t relations = 0;
  std::size_t subjects = 0;
};

Pool make_pool(std::span<const Fact> facts, std::span<const std::int64_t> pool) {
  std::unordered_map<std::string, std::size_t> words, relations;
  const auto intern = [](auto& map, const std::string& text) {
    return map.emplace(text, map.size() + 1).first->second;
  };
  std::set<std::int64_t> seen;
  std::set<std::size_t> subjects;
  Pool out;
  for (const std::int64_t index : pool) {
    if (index < 0 || index >= static_cast<std::int64_t>(facts.size())) {
      fail(ErrorCode::kInvalidArgument, "the pool of known facts holds index ", index, ", expected 0 to ",
           facts.size() - 1);
    }
    if (!seen.insert(index).second) {
      fail(ErrorCode::kInvalidArgument, "the pool of known facts holds index ", index, " twice, expected it once");
    }
    const Fact& fact = facts[static_cast<std::size_t>(index)];
    Candidate c{.fact = index,
                .relation = intern(relations, fact.relation) - 1,
                .names = {},
                .target_new = 0,
                .target_true = 0};
    c.names.push_back(intern(words, fold_text(fact.subject)));
    subjects.insert(c.names.front());
    for (const auto& alias : fact.aliases) c.names.push_back(intern(words, fold_text(alias)));
    c.target_new = intern(words, fold_text(fact.target_new));
    // 0: nothing is equal to an unknown answer.
    if (!fact.target_true.empty()) c.target_true = intern(words, fold_text(fact.target_true));
    out.candidates.push_back(std::move(c));
  }
  out.relations = relations.size();
  out.subjects = subjects.size();
  return out;
}

using Counts = std::array<std::int64_t, kSlots>;

// `total` places shared out over relations in proportion to their candidates: whole parts, then the largest remainders;
// equal remainders by lot.
std::vector<std::int64_t> share_out(std::int64_t total, const std::vector<std::int64_t>& sizes, Rng& rng) {
  std::int64_t all = 0;
  for (const auto size : sizes) all += size;
  std::vector<std::int64_t> out(sizes.size(), 0);
  std::vector<std::size_t> order(sizes.size());
  std::int64_t given = 0;
  for (std::size_t r = 0; r < sizes.size(); ++r) {
    out[r] = total * sizes[r] / all;
    given += out[r];
    order[r] = r;
  }
  rng.shuffle(order);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return total * sizes[a] % all > total * sizes[b] % all; });
  for (std::size_t i = 0; given < total; ++i, ++given) ++out[order[i]];
  return out;
}

// One try to fill all slots by lot.
class Draw {
 public:
  Draw(const Pool& pool, const Counts& wanted, Rng& rng) : pool_(pool), wanted_(wanted), rng_(rng) {
    for (std::size_t i = 0; i < pool.candidates.size(); ++i) order_.push_back(i);
    rng_.shuffle(order_);
    used_.assign(order_.size(), false);
    news_.resize(pool.relations);
    trues_.resize(pool.relations);
  }

  void run() {
    std::vector<std::int64_t> sizes(pool_.relations, 0);
    for (const auto& c : pool_.candidates) ++sizes[c.relation];
    std::vector<Counts> quota(pool_.relations);
    // Every slot is shared out by itself: each relation gets its part of each slot to within one place.
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      const auto shares = share_out(wanted_[slot], sizes, rng_);
      for (std::size_t r = 0; r < shares.size(); ++r) quota[r][slot] = shares[r];
    }
    for (const std::size_t i : order_) {
      Counts& left = quota[pool_.candidates[i].relation];
      if (const std::size_t slot = choose(i, left); slot != kSlots) {
        take(i, slot);
        --left[slot];
      }
    }
    moved_ = wanted_total() - taken();
    for (const std::size_t i : order_) {
      if (complete()) break;
      Counts left{};
      for (std::size_t slot = 0; slot < kSlots; ++slot) {
        left[slot] = wanted_[slot] - static_cast<std::int64_t>(drawn_[slot].size());
      }
      if (used_[i]) continue;
      if (const std::size_t slot = choose(i, left); slot != kSlots) take(i, slot);
    }
  }

  bool complete() const { return taken() == wanted_total(); }
  std::int64_t moved() const { return moved_; }
  std::int64_t taken() const {
    std::int64_t count = 0;
    for (const auto& slot : drawn_) count += static_cast<std::int64_t>(slot.size());
    return count;
  }
  const std::array<std::vector<std::int64_t>, kSlots>& drawn() const { return drawn_; }

 private:
  std::int64_t wanted_total() const {
    std::int64_t count = 0;
    for (const auto n : wanted_) count += n;
    return count;
  }

  // A slot with places left that the candidate may take, by lot in proportion to the places; kSlots if there is none.
  std::size_t choose(std::size_t index, const Counts& left) {
    const Candidate& c = pool_.candidates[index];
    for (const std::size_t name : c.names) {
      if (names_.contains(name)) return kSlots;
    }
    Counts open{};
    std::int64_t all = 0;
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      if (left[slot] > 0 && fits(c, slot)) open[slot] = left[slot];
      all += open[slot];
    }
    if (all == 0) return kSlots;
    auto lot = static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(all)));
    std::size_t slot = 0;
    while (lot >= open[slot]) lot -= open[slot++];
    return slot;
  }

  bool fits(const Candidate& c, std::size_t slot) const {
    const auto& news = news_[c.relation];
    const auto& trues = trues_[c.relation];
    for (std::size_t other = 0; other < kSlots; ++other) {
      if (opposed(slot, other) && trues[other].contains(c.target_new)) return false;
      if (opposed(other, slot) && c.target_true != 0 && news[other].contains(c.target_true)) return false;
    }
    return true;
  }

  void take(std::size_t index, std::size_t slot) {
    const Candidate& c = pool_.candidates[index];
    used_[index] = true;
    names_.insert(c.names.begin(), c.names.end());
    news_[c.relation][slot].insert(c.target_new);
    if (c.target_true != 0) trues_[c.relation][slot].insert(c.target_true);
    drawn_[slot].push_back(c.fact);
  }

  const Pool& pool_;
  const Counts& wanted_;
  Rng& rng_;
  std::vector<std::size_t> order_;
  std::vector<bool> used_;
  std::unordered_set<std::size_t> names_;
  std::vector<std::array<std::unordered_set<std::size_t>, kSlots>> news_, trues_;  // by relation
  std::array<std::vector<std::int64_t>, kSlots> drawn_;
  std::int64_t moved_ = 0;
};

Lot lot_of(const Draw& draw, bool swapped) {
  Lot out;
  out.moved_between_relations = draw.moved();
  out.exchanged = static_cast<std::int64_t>(draw.drawn()[kIntrinsicThenEdited].size());
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    auto& side = edited_in(slot, swapped) ? out.edited : out.intrinsic;
    side.insert(side.end(), draw.drawn()[slot].begin(), draw.drawn()[slot].end());
  }
  return out;
}

}  // namespace

Lot draw_lot(std::span<const Fact> facts, std::span<const std::int64_t> pool, std::int64_t edited,
             std::int64_t intrinsic, std::uint64_t seed, bool swapped) {
  if (edited < 0 || intrinsic < 0 || edited + intrinsic == 0) {
    fail(ErrorCode::kInvalidArgument, "roles: found ", edited, " edited and ", intrinsic,
         " intrinsic facts, expected counts of 0 or more, and at least one fact");
  }
  const Pool candidates = make_pool(facts, pool);
  const std::int64_t exchanged = std::min(edited, intrinsic);
  Counts wanted{};
  wanted[kEditedThenIntrinsic] = wanted[kIntrinsicThenEdited] = exchanged;
  wanted[kAlwaysIntrinsic] = intrinsic - exchanged;
  wanted[kAlwaysEdited] = edited - exchanged;

  std::int64_t most = 0;
  if (static_cast<std::int64_t>(pool.size()) >= edited + intrinsic) {
    // `swapped` does not enter the stream: a replicate and its pair are one draw.
    Rng rng(seed, "roles");
    bool found = false;
    Lot best;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      Draw draw(candidates, wanted, rng);
      draw.run();
      most = std::max(most, draw.taken());
      if (!draw.complete() || (found && draw.moved() >= best.moved_between_relations)) continue;
      best = lot_of(draw, swapped);
      found = true;
      if (draw.moved() == 0) break;
    }
    if (found) return best;
  }
  fail(ErrorCode::kOutOfRange, "the pool of known facts is too small: wanted ", edited, " edited and ", intrinsic,
       " intrinsic facts (", edited + intrinsic, "), found ", pool.size(), " known facts with ", candidates.subjects,
       " different subjects in ", candidates.relations, " relations",
       most > 0
           ? cat(", of which at most ", most,
                 " could be drawn so that no subject is shared and no intrinsic answer is an edited fact's new target")
           : std::string(),
       "; ask for fewer facts or give a larger file");
}

MarginMatches match_by_margin(std::span<const double> edited, std::span<const double> candidates, double caliper,
                              std::int64_t wanted) {
  if (!(caliper >= 0)) fail(ErrorCode::kInvalidArgument, "caliper: found ", caliper, ", expected 0 or more");
  if (wanted < 0) fail(ErrorCode::kInvalidArgument, "matches: found ", wanted, ", expected 0 or more");
  const auto require_number = [](std::span<const double> margins, std::string_view what) {
    for (std::size_t i = 0; i < margins.size(); ++i) {
      if (std::isnan(margins[i])) fail(ErrorCode::kNumeric, "the margin of ", what, " fact ", i, " is not a number");
    }
  };
  require_number(edited, "edited");
  require_number(candidates, "candidate intrinsic");

  struct Pair {
    double distance;
    std::size_t edited, candidate;
  };
  std::vector<Pair> pairs;
  for (std::size_t e = 0; e < edited.size(); ++e) {
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      // Two equal infinities are no distance apart; their difference would not be a number.
      const double difference = edited[e] - candidates[c];
      const double distance = edited[e] == candidates[c] ? 0 : difference < 0 ? -difference : difference;
      if (distance <= caliper) pairs.push_back({distance, e, c});
    }
  }
  std::sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) {
    return a.distance != b.distance ? a.distance < b.distance
           : a.edited != b.edited   ? a.edited < b.edited
                                    : a.candidate < b.candidate;
  });
  MarginMatches out;
  out.matches.resize(edited.size());
  std::vector<bool> taken(candidates.size(), false);
  std::int64_t lacking = wanted;
  const auto facts = static_cast<std::int64_t>(edited.size());
  const std::int64_t rounds = facts == 0 ? 0 : (wanted + facts - 1) / facts;
  for (std::size_t round = 0; round < static_cast<std::size_t>(rounds); ++round) {
    const std::int64_t before = lacking;
    for (const Pair& pair : pairs) {
      if (lacking == 0) break;
      auto& mine = out.matches[pair.edited];
      // A fact without a match in an earlier round has no free candidate left within the caliper either.
      if (taken[pair.candidate] || mine.size() > round) continue;
      taken[pair.candidate] = true;
      mine.push_back(static_cast<std::int64_t>(pair.candidate));
      --lacking;
    }
    if (lacking == before) break;
  }
  // Of facts that could do with one more match, no more lack one than there are places without.
  const auto short_of = std::count_if(out.matches.begin(), out.matches.end(),
                                      [&](const auto& mine) { return std::ssize(mine) < rounds; });
  out.unmatched = std::min<std::int64_t>(short_of, lacking);
  return out;
}

}  // namespace palimpsest::data
