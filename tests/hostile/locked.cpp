// An editor that throws libtorch's own exception through the boundary of the contract.
#include <c10/util/Exception.h>

#include <cstring>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class ThrowsC10 : public sdk::Editor {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"throws_c10", "1.0.0", "Throws a c10::Error."};
  ThrowsC10(sdk::Host, const Parameters&) {}
  sdk::Needs needs(const palimpsest_model_info&) override { return {{}, {1}, 0}; }
  void apply(sdk::Model, std::span<const sdk::EditRequest>, const sdk::Updates&) override {}

  using Kind = ThrowsC10;
  static constexpr const char* kName = PALIMPSEST_KIND_EDITOR;
  template <typename P>
  static const void* interface_of(const char* id) {
    static constexpr palimpsest_editor_v1 kTable = {
        [](void*, palimpsest_model*, const palimpsest_edit_request*, size_t,
           const palimpsest_update_sink*) -> palimpsest_status { TORCH_CHECK(false, "the tensor refuses"); }};
    if (std::strcmp(id, PALIMPSEST_EDITOR_1) == 0) return &kTable;
    return sdk::Editor::interface_of<P>(id);
  }
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<ThrowsC10>)
