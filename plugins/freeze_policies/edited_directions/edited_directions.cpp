// Does not freeze the edited matrices, but keeps the subspace that their updates live in as the edit left it.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "editing/directions.hpp"
#include "palimpsest/sdk/freezing.hpp"
#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::edited_directions {
namespace {

using editing::DirectionSide;

constexpr const char* kSides[] = {"out", "in", "both", nullptr};

class EditedDirections : public sdk::FreezePolicy {
 public:
  struct Parameters {
    sdk::Text side = "out";
    double dense_energy = 0.9;
    bool freeze_embedding = false;
    bool freeze_final_norm = false;
    bool freeze_head = false;

    static constexpr auto fields() {
      using sdk::field;
      const auto own = std::tuple(
          field("side", &Parameters::side,
                "Which directions of an edited matrix stay: those that the update writes (out), those that it reads "
                "(in), or both.")
              .choices(kSides),
          field(
              "dense_energy", &Parameters::dense_energy,
              "Of a dense update, the leading directions that hold this share of its squared norm; of a low-rank one, "
              "always all.")
              .at_least(0)
              .at_most(1));
      return std::tuple_cat(own, sdk::outside_fields<Parameters>());
    }
  };
  static constexpr sdk::Info kInfo{"edited_directions", "1.0.0",
                                   "Keeps the subspace that the update lives in, and fine-tunes the rest."};

  EditedDirections(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void decide(const palimpsest_model_info&, std::span<const sdk::ParameterInfo> parameters,
              std::span<const sdk::UpdateView> updates, const sdk::Freezing& freezing) override {
    if (updates.empty()) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT,
                "the model was not edited (0 recorded updates), so there are no edited directions to keep; give the "
                "unedited control freeze_policy = \"none\"");
    }
    const sdk::Outside outside = sdk::frozen_outside(p_, parameters);
    sdk::find_edited(parameters, updates);  // every update is of a parameter of this model
    std::map<std::string_view, std::vector<editing::MatrixUpdate>> by_parameter;
    for (const auto& update : updates) by_parameter[update.parameter].push_back(tensors_of(update));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto found = by_parameter.find(parameters[i].name);
      if (found != by_parameter.end() && !outside.covers(parameters[i])) {
        keep(parameters[i], i, found->second, freezing);
      } else if (parameters[i].layer < 0 && outside.covers(parameters[i])) {
        freezing.freeze(i);
      }
    }
  }

 private:
  static editing::MatrixUpdate tensors_of(const sdk::UpdateView& update) {
    const auto tensor = [](palimpsest_tensor handle) {
      return handle == nullptr ? at::Tensor() : sdk::torch_tensor(handle);
    };
    return {tensor(update.u), tensor(update.v), tensor(update.dense)};
  }

  void keep(const sdk::ParameterInfo& parameter, std::size_t index, const std::vector<editing::MatrixUpdate>& updates,
            const sdk::Freezing& freezing) const {
    if (updates.front().dense.defined() && updates.front().dense.dim() != 2) {
      sdk::fail(PALIMPSEST_UNSUPPORTED, "the edit changed ", parameter.name,
                ", which is no matrix and has no directions; freeze it with edited_layers instead");
    }
    for (const auto side : {DirectionSide::kOut, DirectionSide::kIn}) {
      const bool out = side == DirectionSide::kOut;
      if (std::string_view(p_.side) == (out ? "in" : "out")) continue;
      const at::Tensor basis = editing::directions(updates, side, p_.dense_energy);
      const std::int64_t height = out ? parameter.rows : parameter.columns;
      if (basis.size(1) >= height) {
        sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "the updates of ", parameter.name, " span all ", height,
                  " directions, side ", out ? "out" : "in",
                  ", so that nothing of it could change; lower dense_energy, or use edited_layers");
      }
      freezing.project(index, out ? PALIMPSEST_SIDE_OUT : PALIMPSEST_SIDE_IN, sdk::to_handle(host_.get(), basis));
      host_.log(PALIMPSEST_LOG_INFO, "kept: " + std::to_string(basis.size(1)) + " of " + std::to_string(height) +
                                         " directions of " + std::string(parameter.name) + ", side " +
                                         (out ? "out" : "in"));
    }
  }

  sdk::Host host_;
  Parameters p_;
};

}  // namespace
}  // namespace palimpsest::edited_directions

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::edited_directions::EditedDirections>)
