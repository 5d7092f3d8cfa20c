// From a C++ class to a descriptor: derive from a kind, give the class an `Info` and a `Parameters`, and name it to
// PALIMPSEST_LIBRARY. Nothing else of the C contract is seen.
//
//   class Shout : public sdk::Augmenter {
//    public:
//     struct Parameters { ... };
//     static constexpr sdk::Info kInfo{"shout", "1.0.0", "Repeats the prompt in capitals."};
//     Shout(sdk::Host host, const Parameters& parameters);
//     void augment(sdk::Model model, const sdk::Fact& fact, const sdk::Prompts& out) override;
//   };
//   PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<Shout>)
//
// Exceptions may be thrown anywhere; they become a status and a sentence.
#pragma once

#include <memory>

#include "palimpsest/entry.h"
#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/kinds.hpp"
#include "palimpsest/sdk/params.hpp"

namespace palimpsest::sdk {

struct Info {
  const char* id;
  const char* version;
  const char* summary;
};

namespace detail {

template <typename P>
palimpsest_status create(const palimpsest_host* host, const palimpsest_parameter_value* values, size_t count,
                         void** instance) noexcept {
  return guarded(host, [&] {
    auto made = std::make_unique<Instance>();
    made->host = host;
    const auto parameters = read_parameters<typename P::Parameters>(values, count, made->texts);
    made->plugin = std::make_unique<P>(Host(host), parameters);
    *instance = made.release();
  });
}

inline void destroy(void* instance) noexcept { delete static_cast<Instance*>(instance); }

template <typename P>
const void* get_interface(const char* id) noexcept {
  return P::Kind::template interface_of<P>(id);
}

}  // namespace detail

// The descriptor of class P, a constant.
template <typename P>
inline constexpr palimpsest_descriptor kDescriptor = {
    P::Kind::kName,
    P::kInfo.id,
    P::kInfo.version,
    P::kInfo.summary,
    kParameterTable<typename P::Parameters>.data(),
    kParameterTable<typename P::Parameters>.size(),
    &detail::create<P>,
    &detail::destroy,
    &detail::get_interface<P>,
};

}  // namespace palimpsest::sdk

// Defines the library's one exported symbol. PALIMPSEST_TIER, PALIMPSEST_TORCH_TAG and PALIMPSEST_COMPILER come from
// palimpsest_add_plugin().
#define PALIMPSEST_LIBRARY(...)                                                             \
  namespace {                                                                               \
  constexpr const palimpsest_descriptor* palimpsest_descriptors[] = {__VA_ARGS__, nullptr}; \
  }                                                                                         \
  extern "C" {                                                                              \
  constinit const palimpsest_library_v1 palimpsest_library = {                              \
      PALIMPSEST_MAGIC,     PALIMPSEST_ABI_MAJOR, PALIMPSEST_ABI_MINOR,  PALIMPSEST_TIER,   \
      PALIMPSEST_TORCH_TAG, PALIMPSEST_COMPILER,  palimpsest_descriptors};                  \
  }
