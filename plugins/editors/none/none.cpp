// The unedited control: every published table has cells with this editor, so that forgetting caused by fine-tuning can
// be told from damage done by an edit.
#include <span>

#include "palimpsest/sdk/plugin.hpp"

namespace {

using namespace palimpsest;

class None : public sdk::Editor {
 public:
  using Parameters = sdk::NoParameters;
  static constexpr sdk::Info kInfo{"none", "1.0.0", "Edits nothing: the unedited control."};

  None(sdk::Host, const Parameters&) {}
  sdk::Needs needs(const palimpsest_model_info&) override { return {}; }
  void apply(sdk::Model, std::span<const sdk::EditRequest>, const sdk::Updates&) override {}
};

}  // namespace

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<None>)
