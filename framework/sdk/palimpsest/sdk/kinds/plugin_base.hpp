// What the classes of all kinds have in common: their base, and how a table of the C contract finds the object.
#pragma once

#include <cstring>
#include <deque>
#include <memory>
#include <string>

#include "palimpsest/host.h"

namespace palimpsest::sdk {

// What every kind's base class derives from.
class Plugin {
 public:
  virtual ~Plugin() = default;
};

namespace detail {

// What `void* instance` points to.
struct Instance {
  const palimpsest_host* host = nullptr;
  std::deque<std::string> texts;  // of the parameters
  std::unique_ptr<Plugin> plugin;
};

template <typename K>
K& as(void* instance) {
  return static_cast<K&>(*static_cast<Instance*>(instance)->plugin);
}
inline const palimpsest_host* host_of(void* instance) { return static_cast<Instance*>(instance)->host; }
inline bool is(const char* id, const char* wanted) { return std::strcmp(id, wanted) == 0; }

}  // namespace detail

}  // namespace palimpsest::sdk
