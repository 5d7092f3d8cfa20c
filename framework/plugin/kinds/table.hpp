// From what get_interface gave to the function table that it is.
#pragma once

namespace palimpsest::plugin {

template <typename Table>
const Table& table(const void* raw) {
  return *static_cast<const Table*>(raw);
}

}  // namespace palimpsest::plugin
