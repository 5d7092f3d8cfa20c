// parameters/1
#include <cstddef>

#include "base/error.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

palimpsest_status info(palimpsest_model* model, int64_t index, int64_t* count, palimpsest_parameter_info* out) {
  return guarded([&] {
    const auto& infos = model->base.infos();
    *count = static_cast<int64_t>(infos.size());
    if (index < 0) return;
    if (index >= *count) fail(ErrorCode::kOutOfRange, "parameter ", index, " of ", *count);
    *out = parameter_info_of(infos[static_cast<std::size_t>(index)], model->opened->config);
  });
}

}  // namespace

palimpsest_parameter_info parameter_info_of(const model::ParameterInfo& info, const model::Config& config) {
  const bool tied = info.role == model::ParameterRole::kEmbedding && config.tied_head;
  return {text_of(info.name),
          text_of(model::name_of(info.role)),
          info.layer,
          info.shape.at(0),
          info.shape.size() > 1 ? info.shape.at(1) : 1,
          tied ? 1 : 0,
          0};
}

const palimpsest_parameters_v1& parameters_service() {
  static constexpr palimpsest_parameters_v1 kTable = {info};
  return kTable;
}

}  // namespace palimpsest::plugin
