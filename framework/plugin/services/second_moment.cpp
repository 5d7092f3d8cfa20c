// second-moment/1
#include <ATen/ATen.h>

#include "base/error.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

const model::SecondMoment& moment_of(const palimpsest_host* host, int64_t layer) {
  HostContext& context = context_of(host);
  refuse_in_compute(context.store_scope, PALIMPSEST_STORE_ON_SECOND_MOMENTS, "second-moment/1");
  if (!context.session || !context.session->second_moment) {
    fail(ErrorCode::kUnsupported, "no experiment runs, so there are no second moments");
  }
  context.second_moments.push_back(context.session->second_moment(layer));
  return *context.second_moments.back();
}

palimpsest_status matrix(const palimpsest_host* host, int64_t layer, palimpsest_tensor* out, int64_t* count) {
  return guarded([&] {
    const model::SecondMoment& moment = moment_of(host, layer);
    *count = moment.count();
    *out = new_handle(moment.matrix());
  });
}

palimpsest_status solve(const palimpsest_host* host, int64_t layer, double scale, palimpsest_tensor rhs,
                        palimpsest_tensor* out) {
  return guarded([&] { *out = new_handle(moment_of(host, layer).solve(scale, tensor_of(rhs))); });
}

}  // namespace

const palimpsest_second_moment_v1& second_moment_service() {
  static constexpr palimpsest_second_moment_v1 kTable = {matrix, solve};
  return kTable;
}

}  // namespace palimpsest::plugin
