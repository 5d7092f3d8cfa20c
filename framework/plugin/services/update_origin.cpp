// update-origin/1
#include <cstddef>

#include "base/error.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

const model::Update& recorded(const palimpsest_model& model, int64_t index) {
  if (index < 0 || index >= static_cast<int64_t>(model.updates.size())) {
    fail(ErrorCode::kOutOfRange, "update ", index, " of ", model.updates.size());
  }
  return model.updates[static_cast<std::size_t>(index)];
}

palimpsest_status origin(palimpsest_model* model, int64_t index, palimpsest_update_origin* out) {
  return guarded([&] {
    const model::Update& update = recorded(*model, index);
    *out = {update.ordinal, static_cast<int64_t>(update.facts.size())};
  });
}

palimpsest_status fact(palimpsest_model* model, int64_t index, int64_t request, palimpsest_text* id) {
  return guarded([&] {
    const model::Update& update = recorded(*model, index);
    if (request < 0 || request >= static_cast<int64_t>(update.facts.size())) {
      fail(ErrorCode::kOutOfRange, "request ", request, " of the ", update.facts.size(), " of update ", index);
    }
    *id = text_of(update.facts[static_cast<std::size_t>(request)]);
  });
}

}  // namespace

const palimpsest_update_origin_v1& update_origin_service() {
  static constexpr palimpsest_update_origin_v1 kTable = {origin, fact};
  return kTable;
}

}  // namespace palimpsest::plugin
