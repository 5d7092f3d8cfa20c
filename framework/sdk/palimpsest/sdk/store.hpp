// store/1 as an author sees it: compute once, for every process and every later run that wants the same.
//
//   const sdk::Stored stored = sdk::get_or_compute(
//       host, model, "projector layer=5 threshold=0.02", PALIMPSEST_STORE_ON_SECOND_MOMENTS, [&] {
//         sdk::Stored made;
//         made.tensors["basis"] = ...;
//         return made;
//       });
//   const sdk::Tensor& basis = stored.tensors.at("basis");
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/model.hpp"
#include "palimpsest/services/store.h"

namespace palimpsest::sdk {

// What one key holds. Tensors that come from the store are on the CPU and the receiver's own.
struct Stored {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> texts;
};

// The entry of `key`, which must say everything that the content depends on beside what services/store.h lists;
// `depends_on`: an or of PALIMPSEST_STORE_ON_*. What `compute` throws comes out of this call, and nothing is stored.
inline Stored get_or_compute(const Host& host, const Model& model, std::string_view key,
                             palimpsest_store_dependence depends_on, const std::function<Stored()>& compute) {
  struct Computing {
    const palimpsest_host* host;
    const std::function<Stored()>* compute;
    std::exception_ptr thrown;
  } computing{host.get(), &compute, nullptr};
  palimpsest_store_request request{};
  request.key = text(key);
  request.depends_on = depends_on;
  request.compute_context = &computing;
  request.compute = [](void* context, const palimpsest_store_sink* content) -> palimpsest_status {
    auto& self = *static_cast<Computing*>(context);
    try {
      const Stored made = (*self.compute)();
      for (const auto& [name, tensor] : made.tensors)
        check(self.host, content->tensor(content->context, text(name), tensor.get()));
      for (const auto& [name, value] : made.texts)
        check(self.host, content->text(content->context, text(name), text(value)));
      return PALIMPSEST_OK;
    } catch (...) {
      self.thrown = std::current_exception();
      return PALIMPSEST_INTERNAL;
    }
  };

  struct Reading {
    const palimpsest_host* host;
    Stored stored;
  } reading{host.get(), {}};
  const palimpsest_store_sink sink{
      &reading,
      [](void* context, palimpsest_text name, palimpsest_tensor value) -> palimpsest_status {
        auto& self = *static_cast<Reading*>(context);
        return guarded(self.host, [&] {
          self.stored.tensors.insert_or_assign(std::string(view(name)), Tensor::retain(self.host, value));
        });
      },
      [](void* context, palimpsest_text name, palimpsest_text value) -> palimpsest_status {
        auto& self = *static_cast<Reading*>(context);
        return guarded(self.host,
                       [&] { self.stored.texts.insert_or_assign(std::string(view(name)), std::string(view(value))); });
      }};
  const palimpsest_status status = service<palimpsest_store_v1>(host.get(), PALIMPSEST_STORE_1)
                                       .get_or_compute(host.get(), model.get(), &request, &sink);
  if (computing.thrown) std::rethrow_exception(computing.thrown);
  check(host.get(), status);
  return std::move(reading.stored);
}

}  // namespace palimpsest::sdk
