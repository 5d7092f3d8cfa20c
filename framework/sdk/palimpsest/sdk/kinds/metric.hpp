// Metrics: model and facts -> rows of declared columns.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "palimpsest/kinds/metric.h"
#include "palimpsest/sdk/columns.hpp"
#include "palimpsest/sdk/facts.hpp"
#include "palimpsest/sdk/kinds/plugin_base.hpp"
#include "palimpsest/sdk/kinds/rows.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::sdk {

struct MeasureRequest {
  Model model;
  std::int64_t ordinal;
  std::string_view stage;  // "base", "edited", "step", "finetuned"
  std::int64_t step;
  std::vector<Fact> facts;
  std::int64_t tokens_trained;  // of all fine-tuning before this point
  std::int64_t edit_tokens;     // of all edit requests before this point
};

class Metric : public Plugin {
 public:
  using Kind = Metric;
  static constexpr const char* kName = PALIMPSEST_KIND_METRIC;

  virtual std::uint32_t when() const { return PALIMPSEST_WHEN_ALWAYS; }
  // Must live as long as the instance.
  virtual std::span<const palimpsest_column> columns() const = 0;
  // Every measuring point has an instance of its own: weights of earlier stages are read through the request's model,
  // and what is costly to make again is kept by the store (store.hpp). With libtorch, gradients are off unless
  // at::AutoGradMode turns them on.
  virtual void measure(const MeasureRequest& request, const Rows& rows) = 0;

  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_metric_v1 metric = {
        [](void* instance) -> std::uint32_t { return detail::as<Metric>(instance).when(); },
        [](void* instance, const palimpsest_column** columns, size_t* count) -> palimpsest_status {
          return guarded(detail::host_of(instance), [&] {
            const auto list = detail::as<Metric>(instance).columns();
            *columns = list.data();
            *count = list.size();
          });
        },
        [](void* instance, const palimpsest_measure_request* request,
           const palimpsest_row_sink* sink) -> palimpsest_status {
          const auto* host = detail::host_of(instance);
          return guarded(host, [&] {
            MeasureRequest r{Model(host, request->model), request->ordinal,    view(request->stage), request->step, {},
                             request->tokens_trained,     request->edit_tokens};
            for (size_t i = 0; i < request->fact_count; ++i) r.facts.emplace_back(host, request->facts[i]);
            auto& own = detail::as<Metric>(instance);
            own.measure(r, Rows(host, sink, own.columns()));
          });
        }};
    return detail::is(id, PALIMPSEST_METRIC_1) ? &metric : nullptr;
  }
};

}  // namespace palimpsest::sdk
