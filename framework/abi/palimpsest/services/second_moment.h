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
  /* The mean matrix [mlp, mlp], float64, the caller's to release, and the number of keys it is the mean of. Only for
   * layers announced through editor.needs/1. */
  palimpsest_status (*matrix)(const palimpsest_host* host, int64_t layer, palimpsest_tensor* out, int64_t* count);
  /* X with (scale * C) X = rhs; rhs [mlp] or [mlp, n], float64 or float32; X float64, the caller's to release.
   * PALIMPSEST_NUMERIC when C is not positive definite. */
  palimpsest_status (*solve)(const palimpsest_host* host, int64_t layer, double scale, palimpsest_tensor rhs,
                             palimpsest_tensor* out);
} palimpsest_second_moment_v1;

#ifdef __cplusplus
}
#endif
#endif
