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
  /* A second handle to the same tensor (same storage, same autograd history); the caller's to release. Any thread. */
  palimpsest_status (*retain)(const palimpsest_host* host, palimpsest_tensor tensor, palimpsest_tensor* out);
  /* Gives a handle back; NULL is allowed. Any thread. */
  void (*release)(const palimpsest_host* host, palimpsest_tensor tensor);
  palimpsest_status (*info)(const palimpsest_host* host, palimpsest_tensor tensor, palimpsest_tensor_info* out);
  /* Reads in place, without copy; valid while a handle to the tensor is held. PALIMPSEST_UNSUPPORTED off the CPU. */
  palimpsest_status (*data)(const palimpsest_host* host, palimpsest_tensor tensor, palimpsest_tensor_data* out);
  /* A float64 copy of every element in row-major order into `out`, which has room for `capacity` numbers; any dtype,
   * device and strides. PALIMPSEST_OUT_OF_RANGE when capacity is not the tensor's element count. */
  palimpsest_status (*read)(const palimpsest_host* host, palimpsest_tensor tensor, double* out, size_t capacity);
  /* A tensor with a copy of the row-major buffer; the caller's to release. dtype FLOAT32, FLOAT64 or INT64. */
  palimpsest_status (*wrap)(const palimpsest_host* host, const void* data, palimpsest_dtype dtype, const int64_t* shape,
                            int32_t dimensions, palimpsest_tensor* out);
} palimpsest_tensor_v1;

#ifdef __cplusplus
}
#endif
#endif
