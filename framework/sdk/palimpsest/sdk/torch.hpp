// Between handles and at::Tensor, for plugins of tier `locked`: a handle is libtorch's own, a heap-allocated
// at::Tensor.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <vector>

#include "palimpsest/sdk/tensor.hpp"

namespace palimpsest::sdk {

// The tensor behind a handle; shares storage and autograd history. The handle stays whose it was.
inline const at::Tensor& torch_tensor(palimpsest_tensor handle) { return *reinterpret_cast<const at::Tensor*>(handle); }
inline const at::Tensor& torch_tensor(const Tensor& tensor) { return torch_tensor(tensor.get()); }

// A handle for the duration of an expression, without ownership: for functions that take a handle for the call.
inline palimpsest_tensor borrow(const at::Tensor& tensor) {
  return reinterpret_cast<palimpsest_tensor>(const_cast<at::Tensor*>(&tensor));
}

// An owned handle to the tensor.
inline Tensor to_handle(const palimpsest_host* host, const at::Tensor& tensor) {
  return Tensor::retain(host, borrow(tensor));
}

// The values as a tensor [n] of their own type on the device of `like`. libtorch makes tensors on the CPU, and an
// operation wants all of its own on one device: a plugin that makes its indices and weights so runs wherever the model
// is.
template <typename T>
at::Tensor on_device_of(const at::Tensor& like, const std::vector<T>& values) {
  return at::tensor(values).to(like.device());
}

}  // namespace palimpsest::sdk
