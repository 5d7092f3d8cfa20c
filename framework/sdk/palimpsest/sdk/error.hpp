// The SDK's exception and the crossing of the boundary: exceptions of an author become a status and a sentence,
// statuses of the host become exceptions.
#pragma once

#include <exception>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "palimpsest/host.h"
#include "palimpsest/services/runtime.h"

namespace palimpsest::sdk {

inline std::string_view view(palimpsest_text text) { return {text.data, text.size}; }
inline palimpsest_text text(std::string_view view) { return {view.data(), view.size()}; }

// Thrown by authors to fail with a status and a sentence, and by the SDK when a host function failed.
class Error : public std::runtime_error {
 public:
  Error(palimpsest_status status, const std::string& sentence) : std::runtime_error(sentence), status_(status) {}
  palimpsest_status status() const noexcept { return status_; }

 private:
  palimpsest_status status_;
};

// Throws Error(status, parts printed one after the other).
template <typename... Parts>
[[noreturn]] void fail(palimpsest_status status, const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  throw Error(status, std::move(out).str());
}

// The table of a service. Throws Error(PALIMPSEST_UNSUPPORTED) when the host has none.
template <typename Table>
const Table& service(const palimpsest_host* host, const char* id) {
  const void* table = host->get_service(host, id);
  if (table == nullptr) fail(PALIMPSEST_UNSUPPORTED, "this host does not offer the service ", id);
  return *static_cast<const Table*>(table);
}

// Turns a failed status of a host function into an Error with the host's sentence.
inline void check(const palimpsest_host* host, palimpsest_status status) {
  if (status == PALIMPSEST_OK) return;
  throw Error(status, std::string(view(service<palimpsest_error_v1>(host, PALIMPSEST_ERROR_1).last(host))));
}

// Runs `body`; whatever it throws becomes a status, its sentence goes to error/1.
template <typename Body>
palimpsest_status guarded(const palimpsest_host* host, Body&& body) noexcept {
  const auto report = [host](palimpsest_status status, const char* sentence) noexcept {
    const auto* errors = static_cast<const palimpsest_error_v1*>(host->get_service(host, PALIMPSEST_ERROR_1));
    if (errors != nullptr) errors->set(host, text(sentence));
    return status;
  };
  try {
    std::forward<Body>(body)();
    return PALIMPSEST_OK;
  } catch (const Error& error) {
    return report(error.status(), error.what());
  } catch (const std::bad_alloc&) {
    return report(PALIMPSEST_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return report(PALIMPSEST_INTERNAL, error.what());
  } catch (...) {
    return report(PALIMPSEST_INTERNAL, "an exception that is not a std::exception");
  }
}

}  // namespace palimpsest::sdk
