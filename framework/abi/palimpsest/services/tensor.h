/* tensor/1: handles, and plain numbers in and out of them, for plugins with and without libtorch. */
#ifndef PALIMPSEST_SERVICES_TENSOR_H
#define PALIMPSEST_SERVICES_TENSOR_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_TENSOR_1 "tensor/1"
#define PALIMPSEST_MAX_DIMENSIONS 8

typedef struct palimpsest_tensor_info {
  palimpsest_dtype dtype;
  int32_t dimensions; /* at most PALIMPSEST_MAX_DIMENSIONS */
  int64_t shape[PALIMPSEST_MAX_DIMENSIONS];
  int32_t requires_grad;
  int32_t on_cpu;
} palimpsest_tensor_info;

typedef struct palimpsest_tensor_data {
  const void* data; /* first element, in CPU memory */
  palimpsest_dtype dtype;
  int32_t dimensions;
  int64_t shape[PALIMPSEST_MAX_DIMENSIONS];
  int64_t strides[PALIMPSEST_MAX_DIMENSIONS]; /* in elements */
} palimpsest_tensor_data;

typedef struct palimpsest_tensor_v1 {
  /* A second handle to the same tensor (same storage, same autograd history).
   * When: while a handle to the tensor is held. Ownership: *out is the caller's to release.
   * Thread: any. Errors: INVALID_ARGUMENT for NULL. */
  palimpsest_status (*retain)(const palimpsest_host* host, palimpsest_tensor tensor, palimpsest_tensor* out);
  /* Gives a handle back.
   * When: exactly once for every handle that was received. Ownership: takes the handle; NULL is allowed.
   * Thread: any. Errors: none. */
  void (*release)(const palimpsest_host* host, palimpsest_tensor tensor);
  /* Dtype, shape and place of a tensor.
   * When: while a handle is held. Ownership: *out is the caller's.
   * Thread: any. Errors: UNSUPPORTED for a dtype or more dimensions than cross the ABI. */
  palimpsest_status (*info)(const palimpsest_host* host, palimpsest_tensor tensor, palimpsest_tensor_info* out);
  /* Reads in place, without copy.
   * When: while a handle is held. Ownership: the numbers are the tensor's: valid while a handle to it is held, and
   * never written to. Thread: any. Errors: UNSUPPORTED off the CPU, and as info. */
  palimpsest_status (*data)(const palimpsest_host* host, palimpsest_tensor tensor, palimpsest_tensor_data* out);
  /* A float64 copy of every element in row-major order into `out`; any dtype, device and strides.
   * When: while a handle is held. Ownership: `out` is the caller's and has room for `capacity` numbers.
   * Thread: any. Errors: OUT_OF_RANGE when capacity is not the tensor's element count; nothing is written then. */
  palimpsest_status (*read)(const palimpsest_host* host, palimpsest_tensor tensor, double* out, size_t capacity);
  /* A tensor with a copy of the row-major buffer; dtype FLOAT32, FLOAT64 or INT64.
   * When: at any time. Ownership: the buffer stays the caller's; *out is the caller's to release.
   * Thread: any. Errors: UNSUPPORTED for another dtype, OUT_OF_RANGE for a shape that cannot be. */
  palimpsest_status (*wrap)(const palimpsest_host* host, const void* data, palimpsest_dtype dtype, const int64_t* shape,
                            int32_t dimensions, palimpsest_tensor* out);
} palimpsest_tensor_v1;

#ifdef __cplusplus
}
#endif
#endif
