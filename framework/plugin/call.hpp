// One call into a plugin: exceptions caught, status checked, grad mode, thread count and libtorch's default generator
// as they were.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>

#include "base/error.hpp"
#include "plugin/services/context.hpp"

namespace palimpsest::plugin {

// Remembers what a plugin must not leave changed, and puts it back.
class ThreadState {
 public:
  ThreadState();
  ~ThreadState();
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;

 private:
  bool grad_mode_;
  int threads_;
  at::Tensor generator_;  // the state of libtorch's default generator of the CPU
};

// Throws Error for a status that is not OK: `label: function failed: sentence`.
void check_call(palimpsest_status status, const std::string& label, const char* function);

// `body` returns the plugin's status.
template <typename Body>
void call_plugin(const std::string& label, const char* function, Body&& body) {
  const ThreadState kept;
  set_last_error({});
  palimpsest_status status = PALIMPSEST_OK;
  try {
    status = std::forward<Body>(body)();
  } catch (const std::exception& error) {
    set_last_error(cat("it threw an exception: ", error.what()));
    status = PALIMPSEST_INTERNAL;
  } catch (...) {
    set_last_error("it threw something that is not a std::exception");
    status = PALIMPSEST_INTERNAL;
  }
  check_call(status, label, function);
}

}  // namespace palimpsest::plugin
