// Freeze policies: which parameters, or directions in them, fine-tuning may change.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "palimpsest/kinds/freeze_policy.h"
#include "palimpsest/sdk/kinds/plugin_base.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::sdk {

struct UpdateView {
  std::string_view parameter;
  std::int64_t rank;              // 0: dense
  palimpsest_tensor u, v, dense;  // for the call
};

class Freezing {
 public:
  Freezing(const palimpsest_host* host, const palimpsest_freeze_sink* sink) : host_(host), sink_(sink) {}
  void freeze(std::size_t index) const { check(host_, sink_->freeze(sink_->context, index)); }
  // `basis`: orthonormal columns.
  void project(std::size_t index, palimpsest_side side, const Tensor& basis) const {
    check(host_, sink_->project(sink_->context, index, side, basis.get()));
  }

 private:
  const palimpsest_host* host_;
  const palimpsest_freeze_sink* sink_;
};

class FreezePolicy : public Plugin {
 public:
  using Kind = FreezePolicy;
  static constexpr const char* kName = PALIMPSEST_KIND_FREEZE_POLICY;

  virtual void decide(const palimpsest_model_info& info, std::span<const ParameterInfo> parameters,
                      std::span<const UpdateView> updates, const Freezing& freezing) = 0;

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_freeze_policy_v1 policy = {
        [](void* instance, const palimpsest_model_info* info, const palimpsest_parameter_info* parameters,
           size_t parameter_count, const palimpsest_recorded_update* updates, size_t update_count,
           const palimpsest_freeze_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] {
            std::vector<ParameterInfo> list;
            for (size_t i = 0; i < parameter_count; ++i) list.push_back(parameter_info(parameters[i]));
            std::vector<UpdateView> recorded;
            for (size_t i = 0; i < update_count; ++i) {
              recorded.push_back(
                  {view(updates[i].parameter), updates[i].rank, updates[i].u, updates[i].v, updates[i].dense});
            }
            detail::as<FreezePolicy>(instance).decide(*info, list, recorded, Freezing(host, sink));
          });
        }};
    return detail::is(id, PALIMPSEST_FREEZE_POLICY_1) ? &policy : nullptr;
  }
};

}  // namespace palimpsest::sdk
