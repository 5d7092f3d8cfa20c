// MEMIT: Mass-Editing Memory in a Transformer (Meng et al. 2023, arXiv 2210.07229).
//
//   z* = argmin of the objective of equation 16 at the last edited layer   (editing/values)
//   algorithm 1, residuals spread over the layers                          (editing/spread)
//   dW = R ((lambda C + K K^T)^-1 K)^T                                      (equation 14; editing/solve)
#include <ATen/core/Tensor.h>

#include <span>
#include <tuple>

#include "editing/prompts.hpp"
#include "editing/solve.hpp"
#include "editing/spread.hpp"
#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class Memit : public sdk::Editor {
 public:
  struct Parameters : editing::SpreadParameters {
    double mom2_update_weight = 15000;

    static constexpr auto fields() {
      return std::tuple_cat(
          editing::SpreadParameters::fields(),
          std::tuple(sdk::field("mom2_update_weight", &Parameters::mom2_update_weight,
                                "Weight lambda of the second moment C against the keys of the edits: the larger, the "
                                "more an update spares what the model knows.")
                         .at_least(0)));
    }
  };
  static constexpr sdk::Info kInfo{"memit", "1.0.0", "Many facts at once, spread over layers (Meng et al. 2023)."};

  Memit(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  sdk::Needs needs(const palimpsest_model_info& info) override {
    sdk::Needs needs = editing::spread_needs(p_, info);
    if (!(p_.mom2_update_weight > 0)) {
      sdk::fail(PALIMPSEST_OUT_OF_RANGE, "mom2_update_weight is ", p_.mom2_update_weight, "; expected more than 0");
    }
    needs.second_moments = needs.edits_layers;
    return needs;
  }

  void apply(sdk::Model model, std::span<const sdk::EditRequest> requests, const sdk::Updates& updates) override {
    editing::spread_edits(
        host_, model, requests, contexts_.of(model, p_), p_,
        [this](std::int64_t layer, const at::Tensor& keys, const at::Tensor&) {
          return editing::ridge_keys(host_, layer, p_.mom2_update_weight, keys);
        },
        updates);
  }

 private:
  sdk::Host host_;
  Parameters p_;
  editing::Contexts contexts_;
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<Memit>)
