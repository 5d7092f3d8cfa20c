// r-ROME (Gupta, Baskaran, Anumanchipalli 2024, arXiv 2403.07175): ROME with one key throughout.
//
//   Delta = (v* - W k^a) (C^-1 k^a)^T / ((C^-1 k^a)^T k^a),   k^a the mean key over all contexts
//
// ROME's published code takes k^a in C^-1 k and the bare prompt's key elsewhere; where the two differ much, the divisor
// is small and one edit breaks the model.
#include <ATen/ATen.h>

#include <span>

#include "editing/prompts.hpp"
#include "editing/rank_one.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class RRome : public sdk::Editor {
 public:
  using Parameters = editing::RankOneParameters;
  static constexpr sdk::Info kInfo{"r_rome", "1.0.0",
                                   "ROME with the mean key throughout: stable in sequence (Gupta et al. 2024)."};

  RRome(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  sdk::Needs needs(const palimpsest_model_info& info) override { return editing::rank_one_needs(p_, info); }

  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override {
    for (const editing::Edit& edit : editing::edits_of(requests, editing::AugmentedAs::kContexts)) {
      const editing::RankOne made = editing::rank_one(host_, model, edit, contexts_.of(model, p_), p_);
      const double division_factor = at::dot(made.k_star, made.u).item<double>();
      // W is linear: the mean value is W k^a.
      const at::Tensor right = (made.init + made.value.delta - made.mean_value) / division_factor;
      editing::emit_rank_one(host_, made, right, division_factor, edit, p_, updates);
    }
  }

 private:
  sdk::Host host_;
  Parameters p_;
  editing::Contexts contexts_;
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<RRome>)
