// What the exercises of all kinds are made of.
#pragma once

#include <string>

#include "plugin/conformance/exercise.hpp"

namespace palimpsest::conformance {

// A host class with its instance and tables in the open.
template <typename Base>
struct Open : Base {
  using Base::Base;
  void* raw() const { return this->instance_; }
  template <typename Table>
  const Table& table(const char* id) const {
    return *static_cast<const Table*>(this->interface(id, true));
  }
};

template <typename Base>
class Of : public Exercise {
 public:
  Of(const plugin::Plugin& plugin, TinyWorld& world)
      : world_(world), instance_(plugin, world.session(), plausible_values(*plugin.descriptor, world.folder())) {}

 protected:
  TinyWorld& world_;
  Open<Base> instance_;
};

inline palimpsest_status count_call(Exercise::Bare& bare) {
  return ++bare.sink_calls < bare.refused_from ? palimpsest_status{PALIMPSEST_OK} : bare.status;
}
inline Exercise::Bare& bare_of(void* context) { return *static_cast<Exercise::Bare*>(context); }

// Numbers in hexadecimal: equal texts are equal bits.
std::string text_of_tensor(const at::Tensor& tensor);

std::unique_ptr<Exercise> make_editor_exercise(const plugin::Plugin& plugin, TinyWorld& world);

}  // namespace palimpsest::conformance
