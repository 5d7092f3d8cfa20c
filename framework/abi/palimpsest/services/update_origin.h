/* update-origin/1: which edit a recorded update comes from, and which facts its columns belong to.
 *
 * The columns of a low-rank update belong to the requests of the editor's call that emitted it, by their number:
 *  - as many columns as requests: column i belongs to request i;
 *  - else, as many columns as facts: column i belongs to the i-th fact, in the order in which the requests name them;
 *  - else, and in a dense update: to the facts of the call together, hence to a single fact only where the call had
 * one.
 */
#ifndef PALIMPSEST_SERVICES_UPDATE_ORIGIN_H
#define PALIMPSEST_SERVICES_UPDATE_ORIGIN_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_UPDATE_ORIGIN_1 "update-origin/1"

typedef struct palimpsest_update_origin {
  int64_t ordinal;       /* of the stage that edited, as in palimpsest_measure_request */
  int64_t request_count; /* requests of the editor's call */
} palimpsest_update_origin;

typedef struct palimpsest_update_origin_v1 {
  /* Of the update that model/1 `update` gives at `index`. When: within a function that was given the model. Ownership:
   * *out is the caller's. Thread: instance. Errors: OUT_OF_RANGE for an index it does not have. */
  palimpsest_status (*origin)(palimpsest_model* model, int64_t index, palimpsest_update_origin* out);
  /* The id of the fact of request `request` of that call. When: as origin. Ownership: the text is the host's and lives
   * until the model's next call. Thread: instance. Errors: OUT_OF_RANGE for an index or request it does not have. */
  palimpsest_status (*fact)(palimpsest_model* model, int64_t index, int64_t request, palimpsest_text* id);
} palimpsest_update_origin_v1;

#ifdef __cplusplus
}
#endif
#endif
