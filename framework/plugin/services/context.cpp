#include "plugin/services/context.hpp"

#include <ATen/ATen.h>

#include <array>
#include <new>
#include <utility>

#include "base/error.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

std::string& error_of_thread() {
  thread_local std::string sentence;
  return sentence;
}

}  // namespace

HostContext& context_of(const palimpsest_host* host) { return *static_cast<HostContext*>(host->context); }

const std::string& last_error() { return error_of_thread(); }
void set_last_error(std::string sentence) { error_of_thread() = std::move(sentence); }

palimpsest_status guarded(const std::function<void()>& body) noexcept {
  try {
    body();
    return PALIMPSEST_OK;
  } catch (const Error& error) {
    set_last_error(error.what());
    return static_cast<palimpsest_status>(error.code());
  } catch (const std::bad_alloc&) {
    set_last_error("out of memory");
    return PALIMPSEST_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    set_last_error(error.what());
    return PALIMPSEST_INTERNAL;
  } catch (...) {
    set_last_error("an exception that is not a std::exception");
    return PALIMPSEST_INTERNAL;
  }
}

palimpsest_tensor new_handle(const at::Tensor& tensor) {
  return reinterpret_cast<palimpsest_tensor>(new at::Tensor(tensor));
}

const at::Tensor& tensor_of(palimpsest_tensor handle) {
  if (handle == nullptr) fail(ErrorCode::kInvalidArgument, "a tensor was expected, NULL was given");
  return *reinterpret_cast<const at::Tensor*>(handle);
}

const void* find_service(std::string_view id) {
  static const std::array<std::pair<std::string_view, const void*>, 16> kServices = {{
      {PALIMPSEST_TENSOR_1, &tensor_service()},
      {PALIMPSEST_MODEL_1, &model_service()},
      {PALIMPSEST_PARAMETERS_1, &parameters_service()},
      {PALIMPSEST_AUTOGRAD_1, &autograd_service()},
      {PALIMPSEST_GENERATION_1, &generation_service()},
      {PALIMPSEST_TOKENIZER_1, &tokenizer_service()},
      {PALIMPSEST_UPDATE_ORIGIN_1, &update_origin_service()},
      {PALIMPSEST_FACT_1, &fact_service()},
      {PALIMPSEST_DATASET_1, &dataset_service()},
      {PALIMPSEST_SECOND_MOMENT_1, &second_moment_service()},
      {PALIMPSEST_STORE_1, &store_service()},
      {PALIMPSEST_ERROR_1, &error_service()},
      {PALIMPSEST_LOG_1, &log_service()},
      {PALIMPSEST_PROGRESS_1, &progress_service()},
      {PALIMPSEST_CANCEL_1, &cancel_service()},
      {PALIMPSEST_RANDOM_1, &random_service()},
  }};
  for (const auto& [name, table] : kServices) {
    if (name == id) return table;
  }
  return nullptr;
}

}  // namespace palimpsest::plugin
