// An editor of tier `stable`: it computes with torch's stable headers only, so that what it needs of libtorch is C
// functions named aoti_torch_* and torch_*, and one binary loads into every libtorch from its target on.
//
// W <- W - amount W of one layer's down-projection, as shrink.c, and a low-rank update of zero made by a product.
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <span>
#include <tuple>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;
using StableTensor = torch::stable::Tensor;

// The same tensor as torch's stable class; handles are libtorch's own, and this one is its own to delete.
StableTensor to_stable(const palimpsest_host* host, const sdk::Tensor& tensor) {
  palimpsest_tensor second = nullptr;
  sdk::check(host, sdk::service<palimpsest_tensor_v1>(host, PALIMPSEST_TENSOR_1).retain(host, tensor.get(), &second));
  return StableTensor(second);
}

class StableShrink : public sdk::Editor {
 public:
  struct Parameters {
    std::int64_t layer = 1;
    double amount = 0.125;
    static constexpr auto fields() {
      return std::tuple(
          sdk::field("layer", &Parameters::layer, "Layer whose MLP down-projection becomes smaller.").at_least(0),
          sdk::field("amount", &Parameters::amount, "Share of the weight that an edit takes away."));
    }
  };
  static constexpr sdk::Info kInfo{"stable_shrink", "1.0.0", "Makes one down-projection smaller, by torch's C shim."};
  StableShrink(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  sdk::Needs needs(const palimpsest_model_info&) override {
    sdk::Needs needs;
    needs.edits_layers = {p_.layer};
    return needs;
  }

  void apply(sdk::Model model, std::span<const sdk::EditRequest>, const sdk::Updates& updates) override {
    const std::string name = sdk::mlp_down_parameter(p_.layer);
    const StableTensor weight = to_stable(host_.get(), model.parameter(name));
    StableTensor zeros = torch::stable::clone(weight);
    zeros = torch::stable::zero_(zeros);
    const StableTensor delta = torch::stable::subtract(zeros, weight, p_.amount);
    updates.dense(name, sdk::Tensor::retain(host_.get(), delta.get()));
    // [out, 1] and [in, 1], of zeros: W W^T 0.
    const StableTensor v = torch::stable::transpose(torch::stable::narrow(zeros, 0, 0, 1), 0, 1);
    const StableTensor u = torch::stable::matmul(weight, v);
    updates.low_rank(name, sdk::Tensor::retain(host_.get(), u.get()), sdk::Tensor::retain(host_.get(), v.get()));
  }

 private:
  sdk::Host host_;
  Parameters p_;
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<StableShrink>)
