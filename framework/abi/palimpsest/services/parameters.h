/* parameters/1: which parameters a model has, for callers of model/1 that want all of them. */
#ifndef PALIMPSEST_SERVICES_PARAMETERS_H
#define PALIMPSEST_SERVICES_PARAMETERS_H

#include "palimpsest/host.h"
#include "palimpsest/kinds/freeze_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_PARAMETERS_1 "parameters/1"

typedef struct palimpsest_parameters_v1 {
  /* Parameter `index` in the order of the forward pass; index < 0 gives *count only. When: within a function that was
   * given the model. Ownership: the texts are the host's and live as long as the model. Thread: instance. Errors:
   * OUT_OF_RANGE for an index it does not have. */
  palimpsest_status (*info)(palimpsest_model* model, int64_t index, int64_t* count, palimpsest_parameter_info* out);
} palimpsest_parameters_v1;

#ifdef __cplusplus
}
#endif
#endif
