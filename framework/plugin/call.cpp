#include "plugin/call.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

namespace palimpsest::plugin {

ThreadState::ThreadState()
    : grad_mode_(c10::GradMode::is_enabled()),
      threads_(at::get_num_threads()),
      generator_(at::detail::getDefaultCPUGenerator().get_state()) {}

ThreadState::~ThreadState() {
  // A plugin that draws from it would make the rest of the run depend on how often it was called.
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  if (!at::equal(generator.get_state(), generator_)) generator.set_state(generator_);
  c10::GradMode::set_enabled(grad_mode_);
  if (at::get_num_threads() != threads_) at::set_num_threads(threads_);
}

void check_call(palimpsest_status status, const std::string& label, const char* function) {
  if (status == PALIMPSEST_OK) return;
  const bool known = status >= PALIMPSEST_INVALID_ARGUMENT && status <= PALIMPSEST_INTERNAL;
  const ErrorCode code = known ? static_cast<ErrorCode>(status) : ErrorCode::kInternal;
  const std::string& sentence = last_error();
  fail(code, label, ": ", function, " failed: ",
       !sentence.empty() ? sentence
       : known           ? cat("it gave the status ", name_of(code), " and no message")
                         : cat("it gave the unknown status ", status, " and no message"));
}

}  // namespace palimpsest::plugin
