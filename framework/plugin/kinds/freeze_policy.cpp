// Freeze policies: a decision for every parameter.
#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.hpp"
#include "plugin/call.hpp"
#include "plugin/instance.hpp"
#include "plugin/kinds/table.hpp"

namespace palimpsest::plugin {
namespace {

struct FreezeCollector {
  const palimpsest_model* model;
  std::vector<FreezeDecision> decisions;
  FreezeDecision& at(size_t index) {
    if (index >= decisions.size()) fail(ErrorCode::kOutOfRange, "parameter ", index, " of ", decisions.size());
    return decisions[index];
  }
};

palimpsest_status freeze(void* context, size_t index) {
  return guarded([&] { static_cast<FreezeCollector*>(context)->at(index).frozen = true; });
}

palimpsest_status project(void* context, size_t index, palimpsest_side side, palimpsest_tensor handle) {
  return guarded([&] {
    auto& collector = *static_cast<FreezeCollector*>(context);
    FreezeDecision& decision = collector.at(index);
    const model::Parameters& weights = collector.model->current;
    const at::Tensor& weight = weights[index];
    const at::Tensor basis = tensor_of(handle).detach().to(at::kFloat).contiguous();
    const std::string& name = weights.infos()[index].name;
    const std::int64_t extent = side == PALIMPSEST_SIDE_OUT ? 0 : 1;
    if (weight.dim() != 2 || basis.dim() != 2 || basis.size(0) != weight.size(extent)) {
      fail(ErrorCode::kInvalidArgument, "projection of ", name, " ", weight.sizes(), ": the basis is ", basis.sizes());
    }
    const at::Tensor gram = basis.to(at::kDouble).t().mm(basis.to(at::kDouble));
    const double off = (gram - at::eye(basis.size(1), at::kDouble)).abs().max().item<double>();
    if (!(off < 1e-4)) {
      fail(ErrorCode::kNumeric, "projection of ", name, ": the basis is not orthonormal (largest deviation ", off, ")");
    }
    decision.projections.push_back({side, basis});
  });
}

}  // namespace

std::vector<FreezeDecision> FreezePolicy::decide(const palimpsest_model& model) const {
  const auto& infos = model.current.infos();
  std::vector<palimpsest_parameter_info> parameters;
  for (const auto& info : infos) parameters.push_back(parameter_info_of(info, model.opened->config));
  std::vector<model::Update> kept = model.updates;
  const auto handle = [](at::Tensor& tensor) {
    return tensor.defined() ? reinterpret_cast<palimpsest_tensor>(&tensor) : nullptr;
  };
  std::vector<palimpsest_recorded_update> updates;
  for (auto& u : kept) updates.push_back({text_of(u.parameter), u.rank(), handle(u.u), handle(u.v), handle(u.dense)});

  FreezeCollector collector{&model, std::vector<FreezeDecision>(infos.size())};
  const palimpsest_freeze_sink sink{&collector, freeze, project};
  const palimpsest_model_info info = model_info_of(model.opened->config);
  call_plugin(label(), "decide", [&] {
    return table<palimpsest_freeze_policy_v1>(interface(PALIMPSEST_FREEZE_POLICY_1, true))
        .decide(instance_, &info, parameters.data(), parameters.size(), updates.data(), updates.size(), &sink);
  });
  if (std::all_of(collector.decisions.begin(), collector.decisions.end(), [](const auto& d) { return d.frozen; })) {
    fail(ErrorCode::kInvalidArgument, label(), " freezes every parameter: nothing is left to fine-tune");
  }
  return std::move(collector.decisions);
}

}  // namespace palimpsest::plugin
