// ROME: Rank-One Model Editing (Meng et al. 2022, arXiv 2202.05262), section 3.1.
//
//   k* = mean over contexts of the key at the subject's last token       (equation 3; editing/rank_one)
//   v* = argmin of the objective of equation 4                            (editing/values)
//   W' = W + Lambda (C^-1 k*)^T                                           (equation 2)
//
// As in the authors' code, u = C^-1 k* is normalised, Lambda = (v* - W k) / (k . u) takes key and output of the bare
// prompt, and delta acts at the MLP's output of the edited layer.
#include <ATen/ATen.h>

#include <span>

#include "editing/prompts.hpp"
#include "editing/rank_one.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class Rome : public sdk::Editor {
 public:
  using Parameters = editing::RankOneParameters;
  static constexpr sdk::Info kInfo{"rome", "1.0.0", "Rank-one edit of one MLP layer per fact (Meng et al. 2022)."};

  Rome(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  sdk::Needs needs(const palimpsest_model_info& info) override { return editing::rank_one_needs(p_, info); }

  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override {
    for (const editing::Edit& edit : editing::edits_of(requests, editing::AugmentedAs::kContexts)) {
      const editing::RankOne made = editing::rank_one(host_, model, edit, contexts_.of(model, p_), p_);
      // v* - W k is delta itself: both are of the bare prompt.
      const double division_factor = at::dot(made.bare_key, made.u).item<double>();
      editing::emit_rank_one(host_, made, made.value.delta / division_factor, division_factor, edit, p_, updates);
    }
  }

 private:
  sdk::Host host_;
  Parameters p_;
  editing::Contexts contexts_;
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<Rome>)
