/* second-moment/1: C = E[k k^T] of a down-projection's inputs under the base model, and solves with it. The factor is
 * the host's, made once. */
#ifndef PALIMPSEST_SERVICES_SECOND_MOMENT_H
#define PALIMPSEST_SERVICES_SECOND_MOMENT_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_SECOND_MOMENT_1 "second-moment/1"

typedef struct palimpsest_second_moment_v1 {
  /* The mean matrix [mlp, mlp], float64, on the CPU, and the number of keys it is the mean of.
   * When: by apply, for layers announced through editor.needs/1. Ownership: *out is the caller's to release and must
   * not be written to. Thread: instance. Errors: INVALID_ARGUMENT for a layer that was not announced, UNSUPPORTED where
   * no experiment runs. */
  palimpsest_status (*matrix)(const palimpsest_host* host, int64_t layer, palimpsest_tensor* out, int64_t* count);
  /* X with (scale * C) X = rhs; rhs [mlp] or [mlp, n], float64 or float32; X float64, on the device of rhs.
   * When: as matrix; the factor is made at the first call and kept. Ownership: *out is the caller's to release, `rhs`
   * stays the caller's. Thread: instance. Errors: as matrix; NUMERIC when C is not positive definite. */
  palimpsest_status (*solve)(const palimpsest_host* host, int64_t layer, double scale, palimpsest_tensor rhs,
                             palimpsest_tensor* out);
} palimpsest_second_moment_v1;

#ifdef __cplusplus
}
#endif
#endif
