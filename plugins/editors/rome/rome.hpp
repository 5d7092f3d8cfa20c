// The editor `rome`: one fact, one rank-one update of one MLP's down-projection.
#pragma once

#include <span>

#include "editing/prompts.hpp"
#include "editing/rank_one.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace palimpsest::rome {

class Rome : public sdk::Editor {
 public:
  using Parameters = editing::RankOneParameters;
  static constexpr sdk::Info kInfo{"rome", "1.0.0", "Rank-one edit of one MLP layer per fact (Meng et al. 2022)."};

  Rome(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  sdk::Needs needs(const palimpsest_model_info& info) override { return editing::rank_one_needs(p_, info); }
  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override;

 private:
  sdk::Host host_;
  Parameters p_;
  editing::Contexts contexts_;
};

}  // namespace palimpsest::rome
