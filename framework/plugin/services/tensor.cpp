// tensor/1
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstddef>

#include "base/error.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

palimpsest_dtype dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat: return PALIMPSEST_FLOAT32;
    case at::kDouble: return PALIMPSEST_FLOAT64;
    case at::kBFloat16: return PALIMPSEST_BFLOAT16;
    case at::kHalf: return PALIMPSEST_FLOAT16;
    case at::kLong: return PALIMPSEST_INT64;
    case at::kBool: return PALIMPSEST_BOOL;
    default:
      fail(ErrorCode::kUnsupported, "tensors of type ", at::toString(tensor.scalar_type()), " do not cross the ABI");
  }
}

std::int32_t dimensions_of(const at::Tensor& tensor) {
  if (tensor.dim() > PALIMPSEST_MAX_DIMENSIONS) {
    fail(ErrorCode::kUnsupported, "a tensor of ", tensor.dim(), " dimensions; at most ", PALIMPSEST_MAX_DIMENSIONS,
         " cross the ABI");
  }
  return static_cast<std::int32_t>(tensor.dim());
}

palimpsest_status retain(const palimpsest_host*, palimpsest_tensor tensor, palimpsest_tensor* out) {
  return guarded([&] { *out = new_handle(tensor_of(tensor)); });
}

void release(const palimpsest_host*, palimpsest_tensor tensor) { delete reinterpret_cast<at::Tensor*>(tensor); }

palimpsest_status info(const palimpsest_host*, palimpsest_tensor handle, palimpsest_tensor_info* out) {
  return guarded([&] {
    const at::Tensor& tensor = tensor_of(handle);
    palimpsest_tensor_info made{};
    made.dtype = dtype_of(tensor);
    made.dimensions = dimensions_of(tensor);
    for (std::int64_t i = 0; i < tensor.dim(); ++i) made.shape[i] = tensor.size(i);
    made.requires_grad = tensor.requires_grad() ? 1 : 0;
    made.on_cpu = tensor.is_cpu() ? 1 : 0;
    *out = made;
  });
}

palimpsest_status data(const palimpsest_host*, palimpsest_tensor handle, palimpsest_tensor_data* out) {
  return guarded([&] {
    const at::Tensor& tensor = tensor_of(handle);
    if (!tensor.is_cpu())
      fail(ErrorCode::kUnsupported, "the tensor is on ", tensor.device().str(), "; read it with tensor/1 read");
    palimpsest_tensor_data made{};
    made.data = tensor.const_data_ptr();
    made.dtype = dtype_of(tensor);
    made.dimensions = dimensions_of(tensor);
    for (std::int64_t i = 0; i < tensor.dim(); ++i) {
      made.shape[i] = tensor.size(i);
      made.strides[i] = tensor.stride(i);
    }
    *out = made;
  });
}

palimpsest_status read(const palimpsest_host*, palimpsest_tensor handle, double* out, size_t capacity) {
  return guarded([&] {
    const at::Tensor& tensor = tensor_of(handle);
    if (capacity != static_cast<size_t>(tensor.numel())) {
      fail(ErrorCode::kOutOfRange, "the tensor has ", tensor.numel(), " elements; there is room for ", capacity);
    }
    const c10::NoGradGuard no_grad;
    at::from_blob(out, tensor.sizes(), at::kDouble).copy_(tensor);
  });
}

palimpsest_status wrap(const palimpsest_host*, const void* data, palimpsest_dtype dtype, const int64_t* shape,
                       int32_t dimensions, palimpsest_tensor* out) {
  return guarded([&] {
    const at::ScalarType type = dtype == PALIMPSEST_FLOAT32   ? at::kFloat
                                : dtype == PALIMPSEST_FLOAT64 ? at::kDouble
                                : dtype == PALIMPSEST_INT64   ? at::kLong
                                                              : at::ScalarType::Undefined;
    if (type == at::ScalarType::Undefined) {
      fail(ErrorCode::kUnsupported, "a buffer of dtype ", dtype, "; expected FLOAT32, FLOAT64 or INT64");
    }
    if (dimensions < 0 || dimensions > PALIMPSEST_MAX_DIMENSIONS)
      fail(ErrorCode::kOutOfRange, "a shape of ", dimensions, " dimensions");
    const at::IntArrayRef sizes(shape, static_cast<std::size_t>(dimensions));
    for (const std::int64_t size : sizes) {
      if (size < 0) fail(ErrorCode::kOutOfRange, "a shape with the extent ", size);
    }
    *out = new_handle(at::from_blob(const_cast<void*>(data), sizes, type).clone());
  });
}

}  // namespace

const palimpsest_tensor_v1& tensor_service() {
  static constexpr palimpsest_tensor_v1 kTable = {retain, release, info, data, read, wrap};
  return kTable;
}

}  // namespace palimpsest::plugin
